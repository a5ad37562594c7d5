// The restored VM itself: made from the saved configuration, given its disks, started, and let go of as the run's product.
import type { ArmedUndo } from '../compensation';
import { failureText, wasCancelled } from '../failures';
import type { Restore, RestorePlan } from './restore';

export async function vmCreated({ input, run, proxies, vmId: newVmId, lockedVmId, mark }: Restore, { name, savedVmId, clusterId, nics, disks }: RestorePlan): Promise<ArmedUndo> {
  run.enter('create-vm');
  const { engine, repository, backupId } = input;
  const of = { engine, runId: run.runId, vmId: newVmId, mark };
  const vm = run.undo.push({ name: `remove the new VM ${name}`, leftover: { kind: 'vm', objectId: newVmId, mark }, run: () => proxies.undo.removeRestoredVm(of) });
  await proxies.control.holdVm({ ...of, lockedVmId });
  await proxies.mover(repository).createVmFromBackup({ repository, engine, runId: run.runId, vmId: savedVmId, backupId, newVmId, name, clusterId, mark, nics, nicIds: lockedVmId === undefined ? 'new' : 'same' });
  for (const { source, diskId } of disks) await proxies.control.attachRestoredDisk({ engine, vmId: newVmId, diskId, settings: source });
  return vm;
}

/** The VM stands and its disks are proven: a start that fails is a warning, and no reason to throw hours of writing away. */
export async function vmStarted({ input, run, proxies, settings, vmId }: Restore, { name }: RestorePlan): Promise<boolean> {
  try {
    await proxies.waiting(settings.deadlines.attachSeconds).startVm({ engine: input.engine, vmId });
    return true;
  } catch (error) {
    if (wasCancelled(error)) throw error;
    run.warn(`VM ${name} (${vmId}) is restored but did not start: ${failureText(error)}`);
    return false;
  }
}

export async function productsKept({ run, proxies }: Restore): Promise<void> {
  try {
    await proxies.undo.keepProducts({ runId: run.runId });
  } catch (error) {
    run.warn(`the VM is restored, but the catalog still calls it and its disks things to be released: ${failureText(error)}`);
  }
}

/** A VM that has its own identity back gets its own comment back; a new one keeps the mark, which tells where it came from. */
export async function vmUnmarked({ input, run, proxies, lockedVmId, mark }: Restore, { name }: RestorePlan): Promise<void> {
  if (lockedVmId === undefined) return;
  const { engine, repository, backupId } = input;
  try {
    await proxies.moverLong(repository).unmarkVm({ engine, runId: run.runId, repository, vmId: lockedVmId, backupId, mark });
  } catch (error) {
    run.warn(`VM ${name} (${lockedVmId}) is restored, but its comment still is "${mark}": ${failureText(error)}`);
  }
}
