// Figures, tables, estimates and progress as people see them: pure functions, no server.
import { formatFields, formatTable, oneLine, parseBytes } from '../../client/cli/format';
import { PlainView, renderLines, TerminalView } from '../../client/cli/progress-view';
import { Estimator } from '../../domain/estimate';
import type { DiskProgress, Progress } from '../../domain/flows/progress';
import { formatDuration, formatTime } from '../../domain/units';

const MiB = 1024 ** 2;
const diskId = '11111111-0000-4000-8000-111111111111';

function disk(change: Partial<DiskProgress> = {}): DiskProgress {
  return { diskId, alias: 'root', virtualBytes: 1000 * MiB, positionBytes: 0, dataBytes: 0, bytesPerSecond: 10 * MiB, state: 'copying', waitingFor: null, ...change };
}

function progress(change: Partial<Progress> = {}): Progress {
  return { runId: diskId, vmName: 'demo', phase: 'copy', paused: false, bandwidthBytesPerSecond: null, disks: [disk()], notes: [], consistency: null, trouble: null, warnings: [], undone: [], leftovers: [], ...change };
}

describe('figures', () => {
  test.each([[0, '0 s'], [0.42, '0.4 s'], [1.6, '1.6 s'], [42, '42 s'], [59.6, '1 min 00 s'], [185, '3 min 05 s'], [7620, '2 h 07 min'], [273_600, '3 d 04 h'], [-5, '0 s']])('%d seconds are %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });

  test.each([['1048576', MiB], ['50M', 50 * MiB], ['50MiB', 50 * MiB], ['50 mb/s', 50 * MiB], ['1.5G', 1536 * MiB], ['64KiB/s', 65_536], ['10B', 10]])('%s is %d bytes', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  test.each(['', 'fast', '-1', '5 bananas', '1e9', 'MiB', '5MM'])('%j is no size', (text) => {
    expect(parseBytes(text)).toBeUndefined();
  });

  test('times are UTC to the second, and what is no time is shown as it came', () => {
    expect(formatTime('2026-11-21T06:42:28.123+01:00')).toBe('2026-11-21 05:42:28 UTC');
    expect(formatTime('soon')).toBe('soon');
  });
});

describe('tables', () => {
  test('align left and right, and keep a name from the engine on one line', () => {
    const rows = [{ name: 'a', size: '1' }, { name: 'längst\nb', size: '1000' }];
    const columns = [{ title: 'NAME', value: (row: { name: string }) => row.name }, { title: 'SIZE', value: (row: { size: string }) => row.size, right: true }];
    expect(formatTable(rows, columns)).toBe(['NAME      SIZE', 'a            1', 'längst b  1000', ''].join('\n'));
  });

  test('escape sequences never reach the terminal', () => {
    expect(oneLine('a\u001b[2Jb\r\nc\u009b')).toBe('a [2Jb c ');
  });

  test('fields indent their further lines', () => {
    expect(formatFields([['vm', 'demo'], ['disks', 'one\ntwo']])).toBe('  vm     demo\n  disks  one\n         two\n');
  });
});

describe('the estimate', () => {
  const at = (positionMiB: number, change: Partial<Progress> = {}): Progress => progress({ disks: [disk({ positionBytes: positionMiB * MiB })], ...change });

  test('goes by how fast the position moved', () => {
    const estimator = new Estimator();
    expect(estimator.add(at(0), 0).secondsLeft).toBeUndefined();
    expect(estimator.add(at(100), 10_000)).toEqual({ doneBytes: 100 * MiB, totalBytes: 1000 * MiB, bytesPerSecond: 10 * MiB, secondsLeft: 90 });
  });

  test('a report that is late does not make the time left jump', () => {
    const estimator = new Estimator();
    estimator.add(at(0), 0);
    estimator.add(at(100), 10_000);
    expect(estimator.add(at(100), 14_000).secondsLeft).toBe(90);
  });

  test('forgets what lies more than a minute back', () => {
    const estimator = new Estimator();
    for (let second = 0; second <= 100; second += 10) estimator.add(at(second / 10), second * 1000);
    for (let second = 110; second <= 200; second += 10) estimator.add(at(10 + (second - 100)), second * 1000);
    expect(estimator.add(at(110), 200_000).secondsLeft).toBeCloseTo(890, 0);
  });

  test('begins anew when proving begins, and says nothing while paused', () => {
    const estimator = new Estimator();
    estimator.add(at(0), 0);
    estimator.add(at(1000), 10_000);
    expect(estimator.add(at(0, { phase: 'prove' }), 11_000).secondsLeft).toBeUndefined();
    expect(estimator.add(at(500, { phase: 'prove', paused: true }), 12_000)).toMatchObject({ bytesPerSecond: 0, secondsLeft: undefined });
  });

  test('a disk that is done counts as a whole', () => {
    expect(new Estimator().add(progress({ disks: [disk({ state: 'done', positionBytes: 3 })] }), 0)).toMatchObject({ doneBytes: 1000 * MiB, secondsLeft: 0, bytesPerSecond: 0 });
  });
});

describe('progress on a terminal', () => {
  test('no line is longer than the terminal: a wrapped line would break the redrawing', () => {
    const long = progress({ vmName: 'v'.repeat(90), disks: [disk({ alias: 'd'.repeat(90), positionBytes: 512 * MiB })], warnings: ['w'.repeat(200)] });
    for (const columns of [20, 40, 80, 200]) {
      for (const line of renderLines(long, new Estimator().add(long, 0), columns)) expect(Array.from(line).length).toBeLessThanOrEqual(columns);
    }
  });

  test('100 % means all of it', () => {
    const almost = progress({ disks: [disk({ positionBytes: 1000 * MiB - 1 })] });
    expect(renderLines(almost, new Estimator().add(almost, 0), 80).join('\n')).toContain(' 99%');
  });

  test('of many disks the ones at work stay in sight', () => {
    const many = progress({ disks: [...Array.from({ length: 30 }, (_, index) => disk({ alias: `old${index}`, state: 'done' })), disk({ alias: 'busy' })] });
    const lines = renderLines(many, new Estimator().add(many, 0), 80);
    expect(lines.length).toBeLessThanOrEqual(14);
    expect(lines.join('\n')).toMatch(/busy[\s\S]*and \d+ more disks/);
  });

  test('redraws in place, and a note stays above the bars', () => {
    let written = '';
    const view = new TerminalView((text) => void (written += text), () => 80);
    view.update(progress(), 0);
    written = '';
    view.note('hello');
    expect(written.startsWith('\u001b[2A\r\u001b[0Jhello\ndemo: copy')).toBe(true);
  });
});

describe('progress elsewhere', () => {
  function lines(updates: readonly (readonly [Progress, number])[]): readonly string[] {
    const written: string[] = [];
    const view = new PlainView((text) => void written.push(text));
    for (const [each, atMs] of updates) view.update(each, atMs);
    return written;
  }

  test('a line per phase and every ten seconds, never the same twice', () => {
    const half = progress({ disks: [disk({ positionBytes: 500 * MiB })] });
    expect(lines([[progress({ phase: 'snapshot', disks: [] }), 0], [progress(), 1000], [half, 5000], [half, 12_000], [half, 30_000]])).toEqual([
      'demo: snapshot\n',
      'demo: copy: 0% of 1000.0 MiB, 10.0 MiB/s\n',
      'demo: copy: 50% of 1000.0 MiB, 10.0 MiB/s, 4 s left\n',
    ]);
  });

  test('each warning once', () => {
    expect(lines([[progress({ warnings: ['slow'] }), 0], [progress({ warnings: ['slow'] }), 1000]]).filter((line) => line.startsWith('warning'))).toEqual(['warning: slow\n']);
  });
});
