// The watch over frozen guests: it asks again, less and less often, and forgets a guest that has answered. What it asks is tried with the
// activities (test/activities/freezes).
import type { Forgotten } from '../../activities/forgotten-freezes';
import type { Engine } from '../../adapters/ovirt/port';
import type { OpenHolding } from '../../domain/flows/holdings';
import { HoldfastError } from '../../domain/failures';
import { freezeMark } from '../../domain/ids';
import { watchFrozenGuests } from '../../worker/frozen-guests';

const vmId = '6f1c2d3e-0000-4000-8000-000000000001';
const holding: OpenHolding = {
  holdingId: 'h', runId: '6f1c2d3e-0000-4000-8000-000000000002', engine: 'lab', kind: 'freeze', vmId, mark: freezeMark(vmId), state: 'leftover', heldAt: '2026-11-26T00:00:00Z', ageSeconds: 60,
  run: { workflowId: 'w', workflowType: 'backupVm', outcome: 'failed', vmName: 'demo' },
};

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

test('a mute guest is asked less and less often, at least each minute; once it has answered it is let go', async () => {
  const open = [holding];
  const asked: number[] = [];
  const told: string[] = [];
  let isMute = true;
  let isAway = false;
  const engine = {
    thawVm: () => {
      asked.push(Date.now());
      return isMute ? Promise.reject(new HoldfastError('engine.refused', 'no agent')) : Promise.resolve();
    },
    getVm: () => Promise.resolve({ status: 'up' }),
  } as unknown as Engine;
  const outside: Forgotten = {
    catalog: {
      listOpenHoldings: () => (isAway ? Promise.reject(new HoldfastError('catalog.unavailable', 'away')) : Promise.resolve(open)),
      releaseHolding: (id) => Promise.resolve(void open.splice(open.findIndex(({ holdingId }) => holdingId === id), 1)),
      clearAlert: (key) => Promise.resolve(told.push(key) > 0),
    },
    engineOf: () => engine,
  };
  const watch = watchFrozenGuests(outside, { warn: (_of: unknown, text?: string) => void told.push(text ?? '') });
  const beganMs = Date.now();
  for (let second = 0; second < 300; second += 1) await jest.advanceTimersByTimeAsync(1_000);
  const seconds = asked.map((at) => (at - beganMs) / 1_000);
  expect(seconds.slice(0, 4)).toEqual([1, 2, 4, 8]);
  expect(seconds.length).toBeLessThan(14);
  expect(Math.max(...seconds.slice(1).map((at, index) => at - (seconds[index] ?? 0)))).toBeLessThanOrEqual(61);
  isMute = false;
  isAway = true;
  await jest.advanceTimersByTimeAsync(2_000);
  expect(told.at(-1)).toContain('could not be looked up');
  isAway = false;
  for (let second = 0; second < 61; second += 1) await jest.advanceTimersByTimeAsync(1_000);
  expect(open).toEqual([]);
  expect(told.slice(-2)).toEqual([expect.stringContaining('leftover/'), expect.stringContaining('is thawed')]);
  const count = asked.length;
  await jest.advanceTimersByTimeAsync(5_000);
  expect(asked).toHaveLength(count);
  await watch.stop();
});
