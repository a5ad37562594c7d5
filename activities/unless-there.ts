// A creation whose first reply was lost may still be under way when the second attempt looks and finds nothing yet: its conflict is then
// the proof that the object is there.
import { HoldfastError } from '../domain/failures';

export async function createUnlessThere(look: () => Promise<unknown>, create: () => Promise<unknown>): Promise<void> {
  if ((await look()) !== undefined) return;
  try {
    await create();
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'engine.conflict' && (await look()) !== undefined) return;
    throw error;
  }
}
