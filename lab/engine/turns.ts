// Work on one thing never overlaps with other work on it: who comes while somebody is at it waits for him to end.

export class Turns {
  private readonly last = new Map<string, Promise<void>>();

  async run<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.last.get(id);
    const mine = (before ?? Promise.resolve()).then(work);
    const over = mine.then(
      () => undefined,
      () => undefined,
    );
    this.last.set(id, over);
    try {
      return await mine;
    } finally {
      if (this.last.get(id) === over) this.last.delete(id);
    }
  }
}
