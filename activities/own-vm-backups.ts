// Which of the engine's VM backups is ours: the holding's, and until it knows one, that of our description. The engine gives them their ids: one
// that the client names has no command, and a restarted engine gives it up (event 10814).
import type { VmBackup } from '../adapters/ovirt/port';
import { holdingId } from '../domain/holdings';
import { noneWhenGone } from './none-when-gone';
import type { Outside } from './own-transfers';
import type { OfRun } from './of-run';

export interface VmBackupOfRun extends OfRun {
  readonly vmId: string;
  /** Chosen by the flow, one for each VM backup that it asks for: its holding and the events of the request are found by it. */
  readonly vmBackupKey?: string;
  /** What releases before 0.2.0 call the key, which was the backup's id too. */
  readonly vmBackupId?: string;
  /** By which the engine's is known when the answer was lost. */
  readonly description?: string;
}

export interface OwnVmBackup {
  /** Known even when the engine has forgotten the backup. */
  readonly id?: string | undefined;
  readonly backup?: VmBackup | undefined;
}

export function keyOf({ vmBackupKey, vmBackupId }: VmBackupOfRun): string {
  const key = vmBackupKey ?? vmBackupId;
  if (key === undefined) throw new Error('a VM backup without a key: a defect of the flow');
  return key;
}

export const vmBackupHolding = (of: VmBackupOfRun): string => holdingId(of.runId, 'vm-backup', keyOf(of));

export async function ownVmBackup({ engine, catalog }: Outside, of: VmBackupOfRun): Promise<OwnVmBackup> {
  const { runId, vmId, description } = of;
  const held = (await catalog.listHoldings({ runId })).filter(({ kind }) => kind === 'vm-backup');
  const mine = held.find((holding) => holding.holdingId === vmBackupHolding(of));
  if (mine?.objectId !== undefined) return { id: mine.objectId, backup: await engine.getVmBackup(vmId, mine.objectId) };
  if (description === undefined) return {};
  // A run that asks for a full one instead of an incremental one gives both the same description.
  const others = held.map(({ objectId }) => objectId);
  const backup = (await noneWhenGone(engine.listVmBackups(vmId))).find((each) => each.description === description && !others.includes(each.id));
  if (backup && mine) await catalog.setHoldingObject(mine.holdingId, backup.id);
  return { id: backup?.id, backup };
}
