// Works on several items at once, at most `limit`; when one fails the others are cancelled and waited for, so that an undo never races them.
import { CancellationScope } from '@temporalio/workflow';

export async function inParallel<T, R>(items: readonly T[], limit: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Map<number, R>();
  const failures: unknown[] = [];
  const scope = new CancellationScope();
  await scope.run(async () => {
    const queue = items.map((item, index) => ({ item, index }));
    const lane = async (): Promise<void> => {
      for (let next = queue.shift(); next && failures.length === 0; next = queue.shift()) {
        try {
          results.set(next.index, await work(next.item));
        } catch (error) {
          failures.push(error);
          scope.cancel();
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  });
  if (failures.length > 0) throw failures[0];
  return items.map((_, index) => results.get(index) as R);
}
