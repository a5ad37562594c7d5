// Backups that the engine makes of a VM: start, state, disks, end.
import { HoldfastError } from '../../domain/failures';
import { type Connection, pathOf, queryOf, unlessAbsent } from './connection';
import type { Engine, VmBackup } from './port';
import { listOf, parseAnswer, scratchDiskSchema, vmBackupDiskSchema, vmBackupPhase, vmBackupSchema } from './wire';

type VmBackupCalls = Pick<Engine, 'startVmBackup' | 'getVmBackup' | 'listVmBackups' | 'listVmBackupDisks' | 'listScratchDiskIds' | 'finalizeVmBackup'>;

const vmBackupAnswer = vmBackupSchema.transform(
  (backup): VmBackup => ({
    id: backup.id,
    ...(backup.description === undefined ? {} : { description: backup.description }),
    phase: vmBackupPhase.parse(backup.phase),
    phaseText: backup.phase,
    ...(backup.from_checkpoint_id === undefined ? {} : { fromCheckpointId: backup.from_checkpoint_id }),
    ...(backup.to_checkpoint_id === undefined ? {} : { toCheckpointId: backup.to_checkpoint_id }),
    // All engines tell it; a backup whose end must be seen to is not given up for it.
    createdAt: backup.creation_date ?? new Date(0).toISOString(),
    ...(backup.snapshot === undefined ? {} : { snapshotId: backup.snapshot.id }),
  }),
);

const scratchContentType = 'backup_scratch';

/** The engine's answers to an end that it has seen to already, or that it makes a failure of: both are what was asked for. */
const endingTexts: readonly RegExp[] = [/\bis already (?:in '\w+' phase|stopped), no need to stop\b/i, /\bpremature backup stop was initiated\b/i];

export function vmBackupCalls(engine: Connection): VmBackupCalls {
  return {
    async startVmBackup({ vmId, diskIds, fromCheckpointId, requireConsistency, legacy, description, correlationId }) {
      const what = `starting a backup of VM ${vmId}`;
      const path = pathOf('vms', vmId, 'backups') + queryOf({ ...(legacy ? { legacy: 'true' } : {}), ...(requireConsistency ? { require_consistency: 'true' } : {}) });
      const since = fromCheckpointId === undefined ? {} : { from_checkpoint_id: fromCheckpointId };
      const body = { description, ...since, disks: { disk: diskIds.map((id) => ({ id })) } };
      const answer = await engine.call({ method: 'POST', path, body, headers: { 'correlation-id': correlationId }, what });
      return parseAnswer(vmBackupAnswer, answer.body, what, engine.engineName);
    },
    async getVmBackup(vmId, backupId) {
      const what = `reading backup ${backupId} of VM ${vmId}`;
      const answer = await unlessAbsent(engine.call({ method: 'GET', path: pathOf('vms', vmId, 'backups', backupId), what }));
      return answer && parseAnswer(vmBackupAnswer, answer.body, what, engine.engineName);
    },
    // Neither this nor the lists of checkpoints and transfers have pages: without `max` all come.
    async listVmBackups(vmId) {
      const what = `listing the backups of VM ${vmId}`;
      const { body } = await engine.call({ method: 'GET', path: pathOf('vms', vmId, 'backups'), what });
      return parseAnswer(listOf('backup', vmBackupAnswer), body, what, engine.engineName);
    },
    async listVmBackupDisks(vmId, backupId) {
      const what = `listing the disks of backup ${backupId} of VM ${vmId}`;
      const { body } = await engine.call({ method: 'GET', path: pathOf('vms', vmId, 'backups', backupId, 'disks'), what });
      return parseAnswer(listOf('disk', vmBackupDiskSchema), body, what, engine.engineName).map(({ id, backup_mode: mode }) => ({ diskId: id, ...(mode === undefined ? {} : { mode }) }));
    },
    async listScratchDiskIds(backupId) {
      const what = `looking for scratch disks of backup ${backupId}`;
      const description = `Backup ${backupId} scratch disk`;
      const { body } = await engine.call({ method: 'GET', path: pathOf('disks') + queryOf({ search: `description="${description}"` }), what });
      // A search ignores case and knows wildcards: what it finds is looked at once more.
      return parseAnswer(listOf('disk', scratchDiskSchema), body, what, engine.engineName).filter((disk) => disk.content_type === scratchContentType && disk.description === description).map(({ id }) => id);
    },
    async finalizeVmBackup(vmId, backupId) {
      const path = pathOf('vms', vmId, 'backups', backupId, 'finalize');
      try {
        await unlessAbsent(engine.call({ method: 'POST', path, body: {}, what: `ending backup ${backupId} of VM ${vmId}` }));
      } catch (error) {
        if (!(error instanceof HoldfastError) || !endingTexts.some((text) => text.test(error.message))) throw error;
      }
    },
  };
}
