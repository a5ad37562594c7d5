// A guest that Holdfast freezes by itself, where that was asked for: the thaw is an undo of its own, on top of the stack, and so the first act
// of any undoing. The step itself thaws before it answers.
import type { ControlActivities } from '../../activities';
import { freezeMark } from '../../domain/ids';
import { freezesItself } from '../../domain/plan/backup';
import type { Backup, PlannedBackup } from './backup';

type Calls = Pick<ReturnType<Backup['proxies']['waiting']>, 'ensureSnapshot' | 'ensureVmBackup'>;
type Answer = Awaited<ReturnType<ControlActivities['ensureSnapshot'] | ControlActivities['ensureVmBackup']>>;

export async function frozenIfAsked<T extends Answer>({ input, run, proxies, settings }: Backup, vm: PlannedBackup['vm'], step: (explicitFreeze: boolean, calls: Calls) => Promise<T>): Promise<T> {
  const { snapshotSeconds } = settings.deadlines;
  if (!freezesItself(input, vm)) return step(false, proxies.waiting(snapshotSeconds));
  const of = { engine: input.engine, runId: run.runId, vmId: vm.id };
  const thaw = run.undo.push({ name: 'thaw the guest', leftover: { kind: 'freeze', objectId: vm.id, mark: freezeMark(vm.id) }, run: () => proxies.thawing.ensureThawed(of) });
  const answer = await step(true, proxies.freezing(snapshotSeconds));
  if (answer.mayStillFreeze) run.warn(`the agent of VM ${vm.name}'s guest answers neither the freeze nor the thaw, so the guest may freeze when its agent wakes up: look at the VM. The thaw is asked for until it is answered`);
  else thaw.disarm();
  return answer;
}
