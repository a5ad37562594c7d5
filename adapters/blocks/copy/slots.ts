// A fixed number of places that work has to wait for: the bound on memory and on what is under way at once.
import { asError } from '../as-error';

export class Slots {
  private readonly free: number[];
  private readonly waiting: ((slot: number) => void)[] = [];

  constructor(count: number) {
    this.free = Array.from({ length: count }, (_, slot) => count - 1 - slot);
  }

  async take(signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const slot = this.free.pop();
    if (slot !== undefined) return slot;
    return new Promise((resolve, reject) => {
      const onSlot = (given: number): void => {
        signal.removeEventListener('abort', onAbort);
        resolve(given);
      };
      const onAbort = (): void => {
        this.waiting.splice(this.waiting.indexOf(onSlot), 1);
        reject(asError(signal.reason));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.waiting.push(onSlot);
    });
  }

  give(slot: number): void {
    const next = this.waiting.shift();
    if (next === undefined) this.free.push(slot);
    else next(slot);
  }
}
