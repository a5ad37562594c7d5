// Apart from share.ts, which programs of the tests read too: they run without jest.
import { isWhole, perhaps } from './share';

/**
 * `test` for what costs much and stands alone: registered by the seed, half of the times, or whenever everything runs.
 * Jest refuses a `describe` that has hooks and no test: there, another test is always registered.
 */
export function sometimes(name: string, prove: () => Promise<void>, limitMs?: number): void {
  if (isWhole || perhaps()) test(name, prove, limitMs);
}
