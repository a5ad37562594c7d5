// Work that goes on after the answer. Nothing is fired and forgotten: what runs is listed, waited for and its errors logged.
import { StoreClosed } from './state/store';

export class Background {
  private readonly running = new Map<Promise<void>, string>();

  constructor(private readonly log: (line: string) => void) {}

  /** The promise never rejects: the work itself turns failures into events and states. */
  run(name: string, work: () => Promise<void>): Promise<void> {
    const promise: Promise<void> = work()
      .catch((error: unknown) => {
        // A closed store means that the engine is stopping: the operation's record makes the next start resume it.
        if (!(error instanceof StoreClosed))
          this.log(`${name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      })
      .finally(() => {
        this.running.delete(promise);
      });
    this.running.set(promise, name);
    return promise;
  }

  names(): readonly string[] {
    return [...this.running.values()];
  }

  async idle(): Promise<void> {
    while (this.running.size > 0) await Promise.all(this.running.keys());
  }
}
