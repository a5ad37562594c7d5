// What the benchmarks make of their runs: medians, ratios of runs side by side, a fair order, tables, and where a run's time went.
import { breakDown, covered, type History } from '../../bench/overhead/history';
import { alternating, median, pairedRatio, spreadOf } from '../../bench/measure/statistics';
import { markdownTable } from '../../bench/measure/table';
import { reportText, type CopyReport } from '../../bench/copy/report';
import { incrementalPerFull, reportText as incrementalText, type IncrementalReport } from '../../bench/incremental/report';

test('medians of odd and even counts', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(spreadOf([5, 1, 3])).toEqual({ low: 1, median: 3, high: 5 });
  expect(() => median([])).toThrow('no numbers');
});

test('ratios are taken round by round: a machine that slows down for everybody changes nothing', () => {
  expect(pairedRatio([2, 20, 8], [1, 10, 4])).toEqual({ low: 2, median: 2, high: 2 });
  expect(() => pairedRatio([1], [1, 2])).toThrow('cannot be paired');
});

test('everybody runs once in each round, and everybody begins one', () => {
  expect(alternating(['a', 'b', 'c'], 4)).toEqual([['a', 'b', 'c'], ['b', 'c', 'a'], ['c', 'a', 'b'], ['a', 'b', 'c']]);
  expect(alternating([], 1)).toEqual([[]]);
});

test('tables line up', () => {
  expect(markdownTable(['who', 's'], [['qemu-img', '1.5'], ['we', '12']])).toBe('| who      |   s |\n| -------- | --: |\n| qemu-img | 1.5 |\n| we       |  12 |');
});

test('a report judges the aims by the ratio of the medians of paired runs', () => {
  const runs = (...seconds: number[]) => seconds.map((each) => ({ seconds: each, cpuSeconds: 1, ownPeakBytes: 200 * 1024 ** 2, childrenPeakBytes: 40 * 1024 ** 2 }));
  const report: CopyReport = {
    benchmark: 'copy', startedAt: '2026-01-02T03:04:05Z', machine: { processor: 'P', cores: 2, memoryGiB: 8, kernel: '6', loadBefore: 0, versions: {} }, virtualBytes: 1024 ** 3, dataBytes: 1e9,
    sources: { nbd: 'an export' }, rounds: 3, skipped: ['virtnbdbackup: not installed'],
    results: [
      { name: 'Holdfast', source: 'nbd', runs: runs(2, 4, 2) },
      { name: 'qemu-img convert', source: 'nbd', runs: runs(1, 2, 0.5) },
      { name: 'qemu-img convert, then SHA-256', source: 'nbd', runs: runs(1, 2, 1) },
    ],
  };
  const text = reportText(report);
  expect(text).toMatch(/nbd: speed of qemu-img convert +\| +≥ 0\.5 \| +0\.50 \| reached/);
  expect(text).toMatch(/nbd: speed of qemu-img convert, then SHA-256 +\| +≥ 1 \| +0\.50 \| +missed/);
  expect(text).toMatch(/memory of .* < 256 MiB \| +240 MiB \| +reached/);
  expect(text).toContain('virtnbdbackup: not installed');
});

test('steps that run side by side count once', () => {
  expect(covered([[0, 10], [5, 12], [20, 21]])).toBe(13);
});

test('a history is split into work, waiting for a worker, and the rest', () => {
  const at = (ms: number) => ({ seconds: 100 + Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 });
  const history = {
    events: [
      { eventId: 1, eventTime: at(0) },
      { eventId: 5, eventTime: at(100), activityTaskScheduledEventAttributes: { activityType: { name: 'planBackup' } } },
      { eventId: 6, eventTime: at(150), activityTaskStartedEventAttributes: { scheduledEventId: 5, attempt: 2 } },
      { eventId: 7, eventTime: at(1150), activityTaskCompletedEventAttributes: { scheduledEventId: 5 } },
      { eventId: 8, eventTime: at(1400) },
    ],
  } as unknown as History;
  expect(breakDown(history)).toEqual({ totalMs: 1400, workingMs: 1000, waitingMs: 50, betweenMs: 350, steps: [{ activityType: 'planBackup', scheduledMs: 100, startedMs: 150, endedMs: 1150, attempts: 2 }] });
});

test('a change is judged beside everything, without what a backup of nothing costs, and by the bytes that the daemon counted', () => {
  const run = (seconds: number) => ({ seconds, readBytes: 0, imageBytes: 0, totalMs: 0, steps: [], workingMs: 0, waitingMs: 0, betweenMs: 0 });
  const round = (full: number, incremental: number, empty: number) => ({ full: run(full), incremental: run(incremental), empty: run(empty) });
  const rounds = [round(6, 3, 2), round(12, 4, 2), round(10, 4, 2)];
  expect(incrementalPerFull(rounds)).toEqual({ low: 0.2, median: 0.25, high: 0.25 });
  const report: IncrementalReport = {
    benchmark: 'incremental', startedAt: '2026-01-02T03:04:05Z', machine: { processor: 'P', cores: 2, memoryGiB: 8, kernel: '6', loadBefore: 0, versions: {} }, virtualBytes: 1024 ** 3, dataBytes: 1e8, changedBytes: 2 ** 20,
    changes: { dirtyBytes: 100, readBytes: 116 }, rounds, peer: [round(20, 8, 4), round(20, 8, 4), round(20, 8, 4)], skipped: [],
  };
  const text = incrementalText(report);
  expect(text).toMatch(/bytes read at the daemon \/ dirty extents +\| +≤ 1\.15 \| +1\.160 \| +\| +missed/);
  expect(text).toMatch(/\(incremental − empty\) \/ \(full − empty\) +\| +≤ 0\.25 \| +0\.250 \| 0\.200–0\.250 \| reached/);
  expect(text).toMatch(/\| incremental +\| +4\.00 \| +8\.00 \| +0 \| +2\.00 \|/);
  expect(incrementalText({ ...report, peer: [], skipped: ['virtnbdbackup: not installed'] })).toMatch(/virtnbdbackup: not installed$/);
});
