// A scripted backup by the method `transfer` of a VM with two disks, and what was undone of it, in the words of the suites' tables.
import type { VmChainBackup } from '../../activities/chains';
import { chainBackup, disk, type World } from './answers';
import { startBackup, type Backup, type Options } from './backup-run';
import type { Script } from './script';
import type { Stage } from './stage';

export interface TransferBackup extends Backup {
  /** The earlier backup that it may lie on. */
  readonly base: VmChainBackup;
}

/** There is an earlier full backup that can bear another one, unless `prepare` says otherwise. */
export async function startTransferBackup(stage: Stage, prepare: (script: Script, of: World, base: VmChainBackup) => void = () => undefined, { request = {}, configured = {} }: Options = {}): Promise<TransferBackup> {
  const disks = [disk('a'), disk('b')];
  const base = chainBackup(disks);
  const run = await startBackup(
    stage,
    (script, of) => {
      prepare(script, of, base);
      script.on('readVmChain', () => Promise.resolve([base]));
    },
    { request: { method: 'transfer', ...request }, configured: { disks, ...configured } },
  );
  return { ...run, base };
}

export function aliasOf({ world: { disks } }: Pick<Backup, 'world'>, diskId: unknown): string {
  return disks.find((each) => each.diskId === diskId)?.alias ?? 'unknown';
}

/** In order. The end of a transfer whose disk is copied is a step, not an undo. */
export function undone(run: Backup): readonly string[] {
  return run.script.of('ensureTransferEnded', 'dropPartialBackup', 'ensureVmBackupEnded').flatMap(({ activity, input }) => {
    if (activity === 'ensureTransferEnded') return input['outcome'] === 'cancel' ? [`cancel ${aliasOf(run, input['diskId'])}`] : [];
    return activity === 'dropPartialBackup' ? ['drop'] : ['end'];
  });
}
