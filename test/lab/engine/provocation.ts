// A request that a row of the refusal table must refuse, with everything that has to be so for it. See refusals.test.ts.
import type { Lab, Reply } from './lab-client';

export type Provocation = (lab: Lab) => Promise<Reply>;
export type Provocations<Rows> = Readonly<Record<keyof Rows, Provocation>>;
