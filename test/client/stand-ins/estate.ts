// What the stand-in flows pretend to have: VMs by behaviour, one backup, two runs. Shared with the tests that ask for it.
import type { VmWithoutFreshBackup } from '../../../domain/flows/vm-awareness';
import type { Run } from '../../../domain/flows/queries';
import type { Leftover } from '../../../domain/holdings';
import type { BackupSummary } from '../../../domain/manifest';

const id = (digit: string): string => `${digit.repeat(8)}-0000-4000-8000-${digit.repeat(12)}`;

export const estate = {
  engine: 'lab',
  repository: 'main',
  vms: [
    { id: id('1'), name: 'demo', status: 'up', cluster: 'Default' },
    { id: id('2'), name: 'slow', status: 'up', cluster: 'Default' },
    { id: id('3'), name: 'refused', status: 'up', cluster: 'Default' },
    { id: id('4'), name: 'broken', status: 'up' },
    { id: id('5'), name: 'twin', status: 'up' },
    { id: id('6'), name: 'twin', status: 'down' },
  ],
  backupId: id('b'),
  runId: id('c'),
  /** Ended; its workflow id belongs to the VM `slow`, whose newer run it must never be taken for. */
  endedRunId: id('d'),
  diskId: id('e'),
  createdVmId: id('f'),
  decayedBackupId: id('a'),
} as const;

export const vmNamed = (name: (typeof estate.vms)[number]['name']): string => estate.vms.find((vm) => vm.name === name)?.id ?? '';

export const leftSnapshot: Leftover = { kind: 'snapshot', objectId: id('9'), mark: `Holdfast backup ${id('b')}`, reason: 'the merge did not finish within 6 h' };

export const backup: BackupSummary = {
  backupId: estate.backupId,
  repository: estate.repository,
  engine: estate.engine,
  vmId: vmNamed('demo'),
  vmName: 'demo',
  method: 'appliance',
  kind: 'full',
  baseBackupId: null,
  reason: { code: 'method.full-only', text: 'the method "appliance" reads whole disks, so every backup is a full one' },
  checkpointId: null,
  witnessed: false,
  consistency: 'filesystem',
  createdAt: '2026-11-20T10:00:00.000Z',
  sealedAt: '2026-11-20T10:01:00.000Z',
  virtualBytes: 4 * 1024 ** 3,
  dataBytes: 300 * 1024 ** 2,
  imageBytes: 301 * 1024 ** 2,
  disks: [{ diskId: estate.diskId, alias: 'demo_Disk1', virtualBytes: 4 * 1024 ** 3, dataBytes: 300 * 1024 ** 2, root: 'ab'.repeat(32) }],
  manifestSha256: 'cd'.repeat(32),
};

export const runs: readonly Run[] = [
  {
    runId: estate.endedRunId,
    workflowId: `vm/lab/${vmNamed('slow')}`,
    workflowType: 'backupVm',
    engine: 'lab',
    vmId: vmNamed('slow'),
    vmName: 'slow',
    backupId: null,
    repository: null,
    outcome: 'failed',
    startedAt: '2026-11-20T09:00:00.000Z',
    endedAt: '2026-11-20T09:02:00.000Z',
    failure: { code: 'snapshot.failed', message: 'The engine gave up on the snapshot.' },
    warnings: [],
    leftovers: [leftSnapshot],
  },
];

const awareness = (vmName: string, objective: string, state: VmWithoutFreshBackup['state']): VmWithoutFreshBackup => ({ vmId: estate.diskId, vmName, objective, state, newestBackupAt: null, since: '2026-11-20T03:00:00.000Z' });
export const vmAwareness: readonly VmWithoutFreshBackup[] = [awareness('db-1', 'daily', 'never'), awareness('tmp-1', 'scratch', 'exempt'), awareness('tmp-2', 'scratch', 'exempt')];
