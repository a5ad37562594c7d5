// What a request may ask for where a manifest says what was done: `auto` leaves the choice to the run, which says why.
import { kinds, methods } from '../manifest';

export const askedMethods = [...methods, 'auto'] as const;
export const askedKinds = [...kinds, 'auto'] as const;
