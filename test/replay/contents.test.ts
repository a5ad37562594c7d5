// What is committed as a history: runs that ended as their names say, small, and with nothing in them of the machine that recorded them.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { eventLines, textsOf } from '../histories/portable.cjs';
import { activityOf, committedHistories, type CommittedHistory, type HistoryEvent } from './histories';

const histories = committedHistories();
const titled = histories.map((history) => [history.title, history] as const);
const texts = (history: CommittedHistory): readonly { readonly path: string; readonly text: string }[] => [...textsOf(history.events)];

const failureOf = ({ events }: CommittedHistory): string | undefined => {
  const failure = events.at(-1)?.workflowExecutionFailedEventAttributes?.['failure'] as
    { readonly applicationFailureInfo?: { readonly type?: string } } | undefined;
  return failure?.applicationFailureInfo?.type;
};
const count = ({ events }: CommittedHistory, holds: (event: HistoryEvent) => boolean): number => events.filter(holds).length;
const scheduled = (history: CommittedHistory, activity: string): number => count(history, (event) => activityOf(event) === activity);
const happened = (history: CommittedHistory, type: string): number => count(history, ({ eventType }) => eventType === `EVENT_TYPE_${type}`);

/** What makes a case that case. A flow may have histories of other cases and releases beside these. */
const shows: Readonly<Record<string, (history: CommittedHistory) => unknown>> = {
  'backupVm/0.1.0-completed': (history) => [
    happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
    scheduled(history, 'backupDisk'),
    scheduled(history, 'sealBackup'),
  ],
  'backupVm/0.1.0-refused': (history) => [failureOf(history), scheduled(history, 'ensureSnapshot')],
  'backupVm/0.1.0-steered': (history) => [
    happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
    happened(history, 'WORKFLOW_EXECUTION_UPDATE_ACCEPTED'),
    happened(history, 'ACTIVITY_TASK_CANCELED') >= 3,
  ],
  'backupVm/0.1.0-cancelled-in-copy': (history) => [
    happened(history, 'WORKFLOW_EXECUTION_CANCELED'),
    happened(history, 'ACTIVITY_TASK_CANCELED') > 0,
    scheduled(history, 'ensureSnapshotGone'),
  ],
  'backupVm/0.1.0-failed-in-copy': (history) => [
    failureOf(history),
    scheduled(history, 'sealBackup'),
    scheduled(history, 'dropPartialBackup'),
    scheduled(history, 'ensureSnapshotGone'),
  ],
  'restoreVm/0.1.0-completed-and-started': (history) => [
    happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
    scheduled(history, 'restoreDisk'),
    scheduled(history, 'proveDisk'),
    scheduled(history, 'startVm'),
  ],
  'restoreVm/0.1.0-cancelled-in-copy': (history) => [
    happened(history, 'WORKFLOW_EXECUTION_CANCELED'),
    happened(history, 'ACTIVITY_TASK_CANCELED') > 0,
    scheduled(history, 'removeDisk'),
  ],
  'restoreVm/0.1.0-replaced': (history) => [
    happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
    scheduled(history, 'removeReplacedVm'),
    scheduled(history, 'removeReplacedDisk'),
    scheduled(history, 'putBackReplacedVm'),
  ],
  'restoreVm/0.1.0-as-original': (history) => [
    happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
    scheduled(history, 'unmarkVm'),
    scheduled(history, 'removeReplacedVm'),
  ],
  'restoreVm/0.1.0-refused': (history) => [failureOf(history), scheduled(history, 'createDisk')],
  'findVms/0.1.0-by-search': (history) => happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
  'findVms/0.1.0-unknown-vm': failureOf,
  'backupVm/0.1.0-after-terminated': (history) => [
    happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
    scheduled(history, 'detachDisk'),
    scheduled(history, 'ensureSnapshotGone'),
    scheduled(history, 'dropPartialBackup'),
  ],
  'backupVm/0.1.0-transfer-unusable-checkpoint': (history) => {
    const activities = history.events.map(activityOf);
    return [scheduled(history, 'ensureVmBackup'), scheduled(history, 'removeCheckpoint') > 0, activities.lastIndexOf('removeCheckpoint') < activities.lastIndexOf('ensureVmBackup')];
  },
  'listHoldings/0.1.0-of-engine': (history) => happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
  'listAlerts/0.1.0-of-engine': (history) => happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
  'acknowledgeAlerts/0.1.0-of-engine': (history) => happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
  'showBackupAwareness/0.1.0-of-engine': (history) => happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
  'listVmAwareness/0.1.0-of-engine': (history) => happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
  'forwardEvents/0.1.0-nothing-left': (history) => happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
  'checkBackupAwareness/0.1.0-never-backed-up': (history) => [scheduled(history, 'judgeEngineBackup'), scheduled(history, 'keepAlertsShown')],
  'setBackupAwareness/0.1.0-of-engine': (history) => [scheduled(history, 'setAwareness'), scheduled(history, 'ensureAwarenessSchedule')],
  'launchScheduled/0.1.0-check': (history) => happened(history, 'CHILD_WORKFLOW_EXECUTION_COMPLETED'),
  'runDoctor/0.1.0-all-is-well': (history) => happened(history, 'ACTIVITY_TASK_TIMED_OUT'),
  'runDoctor/0.1.0-unserved-queue': (history) => happened(history, 'ACTIVITY_TASK_TIMED_OUT') > 0,
  'listBackups/0.1.0-of-vm': (history) => happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
  'listRuns/0.1.0-of-vm': (history) => happened(history, 'WORKFLOW_EXECUTION_COMPLETED'),
  'rebuildCatalog/0.1.0-completed': (history) => [happened(history, 'WORKFLOW_EXECUTION_COMPLETED'), scheduled(history, 'scanRepository')],
};

test.each<readonly [string, unknown]>([
  ['backupVm/0.1.0-completed', [1, 2, 1]],
  ['backupVm/0.1.0-refused', ['plan.refused', 0]],
  ['backupVm/0.1.0-steered', [1, 2, true]],
  ['backupVm/0.1.0-cancelled-in-copy', [1, true, 1]],
  ['backupVm/0.1.0-failed-in-copy', ['device.foreign', 0, 1, 1]],
  ['restoreVm/0.1.0-completed-and-started', [1, 2, 2, 1]],
  ['restoreVm/0.1.0-cancelled-in-copy', [1, true, 2]],
  ['restoreVm/0.1.0-replaced', [1, 1, 1, 0]],
  ['restoreVm/0.1.0-as-original', [1, 1, 0]],
  ['restoreVm/0.1.0-refused', ['plan.refused', 0]],
  ['findVms/0.1.0-by-search', 1],
  ['findVms/0.1.0-unknown-vm', 'engine.not-found'],
  ['backupVm/0.1.0-after-terminated', [1, 4, 2, 1]],
  ['backupVm/0.1.0-transfer-unusable-checkpoint', [2, true, true]],
  ['listHoldings/0.1.0-of-engine', 1],
  ['listAlerts/0.1.0-of-engine', 1],
  ['acknowledgeAlerts/0.1.0-of-engine', 1],
  ['showBackupAwareness/0.1.0-of-engine', 1],
  ['listVmAwareness/0.1.0-of-engine', 1],
  ['forwardEvents/0.1.0-nothing-left', 1],
  ['checkBackupAwareness/0.1.0-never-backed-up', [1, 1]],
  ['setBackupAwareness/0.1.0-of-engine', [1, 1]],
  ['launchScheduled/0.1.0-check', 1],
  ['runDoctor/0.1.0-all-is-well', 0],
  ['runDoctor/0.1.0-unserved-queue', true],
  ['listBackups/0.1.0-of-vm', 1],
  ['listRuns/0.1.0-of-vm', 1],
  ['rebuildCatalog/0.1.0-completed', [1, 1]],
])('%s shows what it is kept for', (title, expected) => {
  const history = histories.find((one) => one.title === title);
  expect(history && shows[title]?.(history)).toEqual(expected);
});

describe.each(titled)('%s', (title, history) => {
  test('is the run of one flow from its start to its end', () => {
    const started = history.events[0]?.workflowExecutionStartedEventAttributes;
    expect(started?.['workflowType']).toEqual({ name: history.flow });
    expect(history.events.at(-1)?.eventType).toMatch(/^EVENT_TYPE_WORKFLOW_EXECUTION_(COMPLETED|FAILED|CANCELED)$/);
    expect(history.events.map(({ eventId }) => Number(eventId))).toEqual(history.events.map((_, index) => index + 1));
  });

  test('names neither host nor directory of the machine that recorded it', () => {
    const identities = texts(history)
      .filter(({ path: at }) => at.endsWith('.identity'))
      .map(({ text }) => text);
    expect(identities.length).toBeGreaterThan(0);
    expect(identities.filter((identity) => !/^(history-recorder|holdfast-[a-z+]+-\d+)$/.test(identity))).toEqual([]);
    // Absolute paths, other than where a real appliance finds its disks, what the recorder writes for a directory of its own, what an
    // error of the engine names below its API, and where an alert's remedy lets engine-backup write.
    const paths = texts(history).flatMap(({ text }) => text.match(/(?<![\w.:/-])\/[\w.-]+\/[\w./-]+/g) ?? []);
    expect(
      paths.filter((each) => !/^(\/dev\/disk\/by-id|\/run\/holdfast-lab|\/var\/lib\/holdfast|\/opt\/holdfast|\/var\/(lib|log)\/ovirt-engine-backup)(\/|$)|^\/(vms|disks|imagetransfers)\/[0-9a-f-]{36}(\/|$)/.test(each)),
    ).toEqual([]);
    const hosts = texts(history).flatMap(({ text }) => [...text.matchAll(/ on ([\w.-]+), pid /g)].map((match) => match[1]));
    expect(hosts.filter((host) => host !== 'recorder')).toEqual([]);
    expect(texts(history).filter(({ path: at }) => at.endsWith('stackTrace'))).toEqual([]);
  });

  test('holds no secret and no address', () => {
    const words = /password|secret|token|BEGIN [A-Z ]*(KEY|CERTIFICATE)|:\/\/|\b\d{1,3}(\.\d{1,3}){3}\b/i;
    expect(texts(history).filter(({ text }) => words.test(text))).toEqual([]);
  });

  test('is one event a line, as the recorder writes it', () => {
    const file = path.resolve(__dirname, '../histories', `${title}.json`);
    expect(readFileSync(file, 'utf8') === eventLines(history.events)).toBe(true);
  });

  test('carries references, not contents: no payload above 32 KiB', () => {
    const payloads = texts(history).filter(({ path: at }) => /\.payloads\.\d+\.data$/.test(at));
    expect(Math.max(0, ...payloads.map(({ text }) => Buffer.byteLength(text)))).toBeLessThan(32 * 1024);
  });
});
