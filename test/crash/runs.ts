// Runs as a client asks for them: what is asked, under which workflow id, and how it is started. The ids come before the start, so that a
// fault can name them.
import { randomUUID } from 'node:crypto';
import type { BackupHandle, BackupVmRequest, RestoreHandle, VerifyHandle } from '../../client';
import { workflowIds } from '../../domain/ids';
import type { Lane } from './lane';

export const repositoryName = 'crash';

export type Flow = 'backupVm' | 'restoreVm' | 'verifyBackup';
export type Method = 'appliance' | 'transfer';
export type Handle = BackupHandle | RestoreHandle | VerifyHandle;

export interface Wish {
  readonly flow: Flow;
  readonly method: Method;
  /** Beside the method: what else a backup is asked to be. */
  readonly asks?: Pick<BackupVmRequest, 'kind' | 'witness' | 'quiesce' | 'explicitFreeze' | 'strict'> | undefined;
  /** Restores of the lane's own VM. */
  readonly as?: 'original' | 'replace' | undefined;
}

export interface Started {
  readonly workflowId: string;
  readonly start: () => Promise<Handle>;
  /** Restores: the new VM's name. */
  readonly vmName: string;
}

export interface RunOptions {
  readonly sourceBackupId?: string | undefined;
  readonly bandwidthBytesPerSecond?: number | undefined;
}

export function plannedRun(lane: Lane, wish: Wish, { sourceBackupId, bandwidthBytesPerSecond }: RunOptions = {}): Started {
  const { engine } = lane.stack;
  const { id: vmId, name } = lane.vm;
  const common = { engine, repository: repositoryName, ...(bandwidthBytesPerSecond === undefined ? {} : { bandwidthBytesPerSecond }) };
  const { method } = wish;
  if (wish.flow === 'backupVm') return { workflowId: workflowIds.vm(engine, vmId), vmName: name, start: () => lane.client.backupVm({ ...common, method, ...wish.asks, vmId }, { vmName: name }) };
  if (sourceBackupId === undefined) throw new Error(`lane ${lane.name} has no backup to read`);
  const of = { ...common, backupId: sourceBackupId };
  if (wish.flow === 'verifyBackup') return { workflowId: workflowIds.verify(sourceBackupId), vmName: name, start: () => lane.client.verifyBackup({ ...of, chain: true }) };
  const { as } = wish;
  if (as) {
    // All of them: those of a VM that an earlier cell replaced have ids that are not in the backup.
    const asked = { ...of, method, as, vmId, ...(as === 'replace' ? { oldDisks: 'all' as const } : {}) };
    return { workflowId: workflowIds.vm(engine, vmId), vmName: name, start: () => lane.client.restoreVm(asked) };
  }
  const requestId = randomUUID();
  const vmName = `restored-${requestId.slice(0, 8)}`;
  return { workflowId: workflowIds.restore(requestId), vmName, start: () => lane.client.restoreVm({ ...of, method, requestId, name: vmName, start: true }) };
}
