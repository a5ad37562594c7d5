// Turns for whatever must not overlap: one queue, or one queue per key. Not a cross-process lock.
export class Mutex {
  private tail: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.tail.then(work);
    this.tail = turn.catch(() => undefined);
    return turn;
  }
}

export class KeyedMutex {
  private readonly queues = new Map<string, { readonly mutex: Mutex; waiting: number }>();

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const queue = this.queues.get(key) ?? { mutex: new Mutex(), waiting: 0 };
    this.queues.set(key, queue);
    queue.waiting += 1;
    try {
      return await queue.mutex.run(work);
    } finally {
      queue.waiting -= 1;
      if (queue.waiting === 0) this.queues.delete(key);
    }
  }
}
