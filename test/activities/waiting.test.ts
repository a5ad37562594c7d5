// Waiting: with heartbeats, never longer than an attempt, and over at once when it is cancelled. The clock is jest's.
import { CancelledFailure } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { waitFor } from '../../activities/waiting';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

function begin(probe: () => Promise<object | string>): { readonly environment: MockActivityEnvironment; readonly heartbeats: unknown[]; readonly outcome: Promise<unknown> } {
  const environment = new MockActivityEnvironment(undefined, { logger: new DefaultLogger('ERROR') });
  const heartbeats: unknown[] = [];
  environment.on('heartbeat', (details: unknown) => heartbeats.push(details));
  return { environment, heartbeats, outcome: environment.run(() => waitFor(probe)).catch((error: unknown) => error) };
}

test('gives what it waited for; each look before tells Temporal what is still missing', async () => {
  let looks = 0;
  const found = { id: 'x' };
  const { heartbeats, outcome } = begin(() => Promise.resolve(++looks < 4 ? `missing ${looks}` : found));
  await jest.advanceTimersByTimeAsync(1000);
  expect(await outcome).toBe(found);
  expect(heartbeats).toEqual([{ waiting: 'missing 1' }, { waiting: 'missing 2' }, { waiting: 'missing 3' }]);
});

test('ends the attempt within a minute as "not yet", with what is still missing, having looked at least every two seconds', async () => {
  const looks: number[] = [];
  const { outcome } = begin(() => Promise.resolve(`still locked, look ${looks.push(Date.now())}`));
  await jest.advanceTimersByTimeAsync(60_000);
  expect(await outcome).toMatchObject({ code: 'wait.pending', message: `still locked, look ${looks.length}` });
  const [first = 0, last = 0] = [looks[0], looks.at(-1)];
  expect(last - first).toBeGreaterThan(40_000);
  expect(last - first).toBeLessThan(50_000);
  expect(Math.max(...looks.slice(1).map((at, index) => at - (looks[index] ?? at)))).toBeLessThanOrEqual(2000);
});

test('a cancel ends it between two looks', async () => {
  let looks = 0;
  const { environment, outcome } = begin(() => Promise.resolve(`missing ${++looks}`));
  await jest.advanceTimersByTimeAsync(5000);
  const before = looks;
  environment.cancel();
  await jest.advanceTimersByTimeAsync(0);
  expect(await outcome).toBeInstanceOf(CancelledFailure);
  expect(looks).toBe(before);
});

test('what the probe throws ends it as it is', async () => {
  const trouble = new Error('trouble');
  expect(await begin(() => Promise.reject(trouble)).outcome).toBe(trouble);
});
