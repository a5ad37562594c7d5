// What people read: the doctor's list, the status page, the holdings with what releases them. Pure text.
import { describeDoctor } from '../../client/cli/commands/doctor';
import { describeHoldings, releaseAdvice } from '../../client/cli/commands/holdings';
import { describeFigures, describeStatus } from '../../client/cli/commands/status';
import { check, countVerdicts, ok, problem, skipped, warning } from '../../domain/doctor/checks';
import type { OpenHolding } from '../../domain/flows/holdings';
import { progressSchema, type DiskProgress, type Progress } from '../../domain/flows/progress';
import type { Run } from '../../domain/flows/queries';
import { backup, estate, runs, vmNamed } from './stand-ins/estate';

test('the doctor groups by object, marks each check, and puts what mends it below', () => {
  const checks = [
    check('engine.login', 'engine lab', ok('as admin@internal')),
    check('repository.space', 'repository main', problem('0 B\u001b[2J are free', 'Free space.\nOr buy some.')),
    check('engine.permissions', 'engine lab', warning('only on some objects', 'Give a role on System.')),
    check('appliance.lvm', 'appliance a of lab', skipped('LVM is not installed')),
  ];
  expect(describeDoctor({ checks, count: countVerdicts(checks) })).toBe(`engine lab
  ✓  engine.login        as admin@internal
  !  engine.permissions  only on some objects
      → Give a role on System.

repository main
  ✗  repository.space  0 B [2J are free
      → Free space.
      → Or buy some.

appliance a of lab
  -  appliance.lvm  LVM is not installed

1 ok, 1 warnings, 1 problems, 1 skipped. docs/doctor.md tells what each check means.
`);
});

const disk = (changes: Partial<DiskProgress>): DiskProgress => ({ diskId: estate.diskId, alias: 'a', virtualBytes: 1000, positionBytes: 0, dataBytes: 0, bytesPerSecond: 0, state: 'copying', waitingFor: null, ...changes });
const progress = (changes: Partial<Progress>): Progress => progressSchema.parse({ runId: estate.runId, vmName: 'demo', phase: 'copy', paused: false, bandwidthBytesPerSecond: null, disks: [], warnings: [], undone: [], leftovers: [], trouble: null, ...changes });

test.each<[Partial<Progress>, string]>([
  [{ phase: 'planning' }, 'planning'],
  [{ disks: [disk({ positionBytes: 500 }), disk({ state: 'waiting', waitingFor: 'engine lab is full' }), disk({ state: 'waiting' })] }, 'copy, 16 %, 1 disk waits for a copy slot'],
  [{ disks: [disk({ positionBytes: 250, bytesPerSecond: 1024 ** 2 }), disk({ state: 'done', positionBytes: 0 })] }, 'copy, 62 %, 1.0 MiB/s'],
  [{ paused: true, disks: [disk({ positionBytes: 999 })] }, 'copy (paused), 99 %'],
])('a run\'s figures %#', (changes, text) => {
  expect(describeFigures(progress(changes))).toBe(text);
});

const [endedRun] = runs;
if (!endedRun) throw new Error('the estate has no run');
const run: Run = { ...endedRun, workflowId: 'vm/lab/x', vmId: vmNamed('demo'), vmName: 'demo', outcome: 'running', startedAt: '2026-11-21T05:00:00.000Z', endedAt: null, failure: null, leftovers: [] };

test('the status page tells what runs, what was backed up last, alerts and workers; and says so when there is nothing', () => {
  const now = Date.parse('2026-11-21T10:00:00.000Z');
  const text = describeStatus({
    running: [{ run, progress: progress({ disks: [disk({ positionBytes: 500 })] }) }, { run: { ...run, vmName: 'old' }, progress: null, silence: 'Temporal says terminated' }],
    lastBackups: [backup], more: ['alerts'],
    alerts: [{ key: 'k', code: 'leftover', severity: 'alert', message: 'a snapshot is left', engine: 'lab', raisedAt: '2026-11-20T00:00:00.000Z' }],
    queues: [check('queue.mover', 'repository main', problem('no worker picked up a question within 10 s'))],
  }, now);
  expect(text).toContain('  backupVm demo of lab (vm/lab/x), since 2026-11-21 05:00:00 UTC: copy, 50 %\n');
  expect(text).toContain('no answer: Temporal says terminated');
  expect(text).toMatch(/ {2}demo +lab +2026-11-20 10:00:00 UTC +1 d 00 h ago +300\.0 MiB +main /);
  expect(text).toContain('  alert since 2026-11-20 00:00:00 UTC: a snapshot is left\n');
  expect(text).toContain('  ✗ mover, repository main: no worker picked up');
  expect(text).toContain('There is more than is shown');
  expect(describeStatus({ running: [], lastBackups: [], alerts: [], queues: [], more: [] }, now)).toBe('Running now\n  nothing\n\nLast backup of each VM\n  none yet\n\nOpen alerts\n  none\n\nWorkers\n  none asked\n');
});

const holding = (changes: Partial<OpenHolding>): OpenHolding => ({
  holdingId: 'h', runId: estate.runId, engine: 'lab', kind: 'snapshot', vmId: vmNamed('demo'), objectId: estate.diskId, mark: 'Holdfast backup b', state: 'held', heldAt: '2026-11-21T05:00:00.000Z', ageSeconds: 125,
  run: { workflowId: 'vm/lab/x', workflowType: 'backupVm', outcome: 'running', vmName: 'demo' }, ...changes,
});
const ended = { workflowId: 'vm/lab/x', workflowType: 'backupVm', outcome: 'failed', vmName: 'demo' } as const;

test('holdings are grouped by run, with age and what releases them', () => {
  const text = describeHoldings([holding({}), holding({ kind: 'attachment' }), holding({ runId: estate.endedRunId, state: 'leftover', run: ended })]);
  expect(text).toMatch(/^backupVm of demo, engine lab, run .* \(running\)\n {2}STATE .*\n {2}held +snapshot +\S+ +2 min 05 s +Holdfast backup b\n/);
  expect(text.match(/holdfast cancel vm\/lab\/x/g)).toHaveLength(1);
  expect(text).toContain('leftover');
  expect(describeHoldings([])).toBe('Nothing is held and nothing is left over.\n');
});

test.each(['snapshot', 'attachment', 'disk', 'vm'] as const)('a %s of an ended run is released by the next run on its VM, or by hand', (kind) => {
  expect(releaseAdvice(holding({ kind, run: ended }))).toMatch(new RegExp(`^The next run on this VM releases it first: holdfast backup vm ${vmNamed('demo')} --engine lab\\. By hand: .+\\.$`));
  const { engine } = holding({});
  expect(releaseAdvice({ kind, engine, run: ended })).toMatch(/^By hand: .+\.$/);
});
