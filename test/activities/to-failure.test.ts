// The mapping of errors to Temporal failures, code by code; cancels and unknown errors pass through.
import { CancelledFailure, CompleteAsyncError } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { toFailure, withFailures } from '../../activities/to-failure';
import { failureRules, HoldfastError, type FailureCode } from '../../domain/failures';

/** Written down once more on purpose: whoever changes what is retried changes it here too. */
const delaysMs: Partial<Record<FailureCode, number>> = {
  'engine.unreachable': 5000, 'engine.unavailable': 5000, 'engine.locked': 5000, 'engine.protocol': 10_000, 'imageio.unreachable': 5000, 'imageio.io': 2000, 'wait.pending': 2000, 'device.not-found': 2000,
  'repository.io': 5000, 'repository.held': 3000, 'blocks.server': 2000, 'blocks.io': 2000, 'catalog.unavailable': 2000, 'webhook.failed': 10_000,
};
const retriedWithoutDelay: readonly FailureCode[] = ['repository.fenced'];

test.each(Object.keys(failureRules) as FailureCode[])('%s', (code) => {
  const failure = toFailure(new HoldfastError(code, 'what failed, and what to do', { diskId: 'd' }));
  expect(failure).toBeInstanceOf(ApplicationFailure);
  const retried = code in delaysMs || retriedWithoutDelay.includes(code);
  expect(failure).toMatchObject({ type: code, message: 'what failed, and what to do', details: [{ diskId: 'd' }], nonRetryable: !retried });
  expect((failure as ApplicationFailure).nextRetryDelay ?? undefined).toBe(delaysMs[code]);
});

test('an error that knows better when it is worth another attempt is asked again then', () => {
  expect(toFailure(new HoldfastError('wait.pending', 'far back in the line', {}, { retryAfterMs: 7000 }))).toMatchObject({ type: 'wait.pending', nonRetryable: false, nextRetryDelay: 7000 });
});

test.each([
  ['a cancel', new CancelledFailure('cancelled')],
  ['an asynchronous completion', Reflect.construct(CompleteAsyncError, []) as unknown],
  ['a failure that is one already', ApplicationFailure.nonRetryable('done', 'x')],
  ['a bug', new TypeError('undefined is not a function')],
  ['something that is no error', 'a string'],
])('%s passes through as it is', (_what, error) => {
  expect(toFailure(error)).toBe(error);
});

test('every activity of an object is wrapped, and keeps its input and its answer', async () => {
  const { double, fail } = withFailures({ double: (value: number) => Promise.resolve(2 * value), fail: () => Promise.reject(new HoldfastError('engine.locked', 'busy')) });
  expect(await double(21)).toBe(42);
  await expect(fail()).rejects.toMatchObject({ type: 'engine.locked', nonRetryable: false, nextRetryDelay: 5000 });
});
