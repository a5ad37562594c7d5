// A scripted backupVm on a stage: the script, the run's handle, and the world that the script answers from.
import type { WorkflowHandle } from '@temporalio/client';
import { workflowIds } from '../../domain/ids';
import { disk, engine, goodAnswers, repository, type World } from './answers';
import { Script } from './script';
import { world, type Stage } from './stage';

export interface Backup {
  readonly script: Script;
  readonly handle: WorkflowHandle;
  readonly world: World;
}

export interface Options {
  readonly request?: Readonly<Record<string, unknown>>;
  readonly configured?: Parameters<typeof world>[0];
}

/** Of a VM with the one disk `a`, unless `configured` says otherwise. */
export async function startBackup(stage: Stage, prepare: (script: Script, of: World) => void = () => undefined, { request = {}, configured = {} }: Options = {}): Promise<Backup> {
  const of = world({ disks: [disk('a')], ...configured });
  const script = new Script(goodAnswers(of));
  prepare(script, of);
  const handle = await stage.start('backupVm', workflowIds.vm(engine, of.vmId), { engine, vmId: of.vmId, repository, ...request }, script);
  return { script, handle, world: of };
}
