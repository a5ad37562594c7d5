// The engine answers 404 for what a VM has when the VM is gone: it has none, which is what an undo wants to hear.
import { HoldfastError } from '../domain/failures';

export async function noneWhenGone<T>(listed: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await listed;
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'engine.not-found') return [];
    throw error;
  }
}
