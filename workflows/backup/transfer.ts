// A backup by the method `transfer`: VM backup → configuration → each disk through an image transfer, witnessed when it is due. What changed
// alone is read where a chain can be continued; where that turns out impossible on the way, everything is undone and done again as a full
// backup, in the same run, with the reason.
import type { Chosen, Removable } from '../../domain/chain';
import type { Note } from '../../domain/manifest';
import { refuse } from '../failures';
import type { Backup, CopiedBackup, PlannedBackup } from './backup';
import { checkpointsRemoved, unusableCheckpointsRemoved } from './checkpoints';
import { asFullBackup, fullInstead, hostHasLostBitmaps, ofFullInstead } from './full-instead';
import type { TransferPlan } from './plan-transfer';
import { configurationSaved } from './steps';
import { disksCopied } from './transfer-disks';
import { vmBackupReady } from './vm-backup';

export interface TransferWay {
  readonly plan: TransferPlan;
  readonly notes: readonly Note[];
}

export async function copiedByTransfer(backup: Backup, { plan, notes }: TransferWay): Promise<CopiedBackup> {
  const { planned, choice } = granted(backup, plan);
  const takeBack = backup.run.undo.savepoint();
  try {
    return await copiedAs(backup, planned, choice, notes);
  } catch (error) {
    const full = fullInstead(backup, choice, error);
    if (!full) throw error;
    await takeBack();
    backup.run.setDisks(planned.disks);
    const alone = hostHasLostBitmaps(error) ? await unusableCheckpointsRemoved(backup, full) : full;
    return await copiedAs(backup, planned, alone, notes).catch((again: unknown) => {
      throw ofFullInstead(again, full);
    });
  }
}

type Planned = PlannedBackup & Pick<TransferPlan, 'backups'>;

function granted({ input }: Backup, plan: TransferPlan): { readonly planned: Planned; readonly choice: Chosen & Removable } {
  const { vm, choice } = plan;
  refuse(`The backup of VM ${vm?.name ?? input.vmId}`, plan.reasons);
  if (!vm || !choice || 'refused' in choice) throw new Error('planning named no VM, or no kind, and no reason');
  return { planned: { ...plan, vm }, choice };
}

async function copiedAs(backup: Backup, plan: Planned, wanted: ReturnType<typeof granted>['choice'], wayNotes: readonly Note[]): Promise<CopiedBackup> {
  const told = (of: Chosen): readonly Note[] => [...wayNotes, of.reason, ...of.notes];
  backup.run.decided({ method: 'transfer', kind: wanted.kind, notes: told(wanted) });
  const vmBackup = await vmBackupReady(backup, plan, wanted);
  const { ready } = vmBackup;
  const choice = asFullBackup(backup, wanted, ready);
  backup.run.decided({ method: 'transfer', kind: choice.kind, notes: told(choice) });
  const partial = await configurationSaved(backup, plan.disks, ready.snapshotId ?? undefined);
  const copiedFromMs = Date.now();
  const disks = await disksCopied(backup, plan, choice, vmBackup);
  return {
    plan,
    disks,
    seconds: (Date.now() - copiedFromMs) / 1000,
    consistency: ready.consistency,
    made: {
      method: 'transfer',
      kind: choice.kind,
      base: choice.baseBackupId === null ? null : { backupId: choice.baseBackupId },
      reason: choice.reason,
      notes: [...wayNotes, ...choice.notes],
      checkpoint: ready.checkpointId === null ? null : { id: ready.checkpointId },
      snapshot: null,
      vmBackup: { id: vmBackup.vmBackupId, style: ready.style, createdAt: ready.createdAt },
    },
    keep: () => {
      partial.disarm();
      vmBackup.keepCheckpoint();
    },
    afterCleanUp: () => checkpointsRemoved(backup, choice.removableCheckpointIds, ready.checkpointId),
  };
}
