// Start, stop, shut down, freeze, thaw. A VM's status is what the host reports (see watchVms), never an assumption.
import { attachmentsOf, hostOf, isRunning, needVm, statusWord, type Context } from '../context';
import { operationFailed } from '../faults';
import type { Actor } from '../events';
import { refuse, type Phrase } from '../refusals';
import { HostError, type HostVmEvent, type HostVmStatus } from '../../host/port';
import type { DiskRecord, VmRecord } from '../state/model';
import { without } from '../state/without';
import { backupKeepsState } from './backup-state';
import { refuseIllegalDisks, refuseInactiveDomains, refuseLockedDisks, refuseLockedSnapshot } from './checks';
import { vmDisk } from './plug-disk';

export async function startVm(context: Context, vmId: string, actor: Actor): Promise<{ readonly settled: Promise<void> }> {
  const vm = needVm(context, vmId);
  const release = context.locks.take('start VM', 'Cannot run VM', [
    { kind: 'VM', id: vm.id, mode: 'exclusive', othersGet: { key: 'lock/related-operation' } },
  ]);
  try {
    await validateStart(context, vm);
    context.store.write(() => {
      context.store.tables.vms.patch(vm.id, { status: 'wait_for_launch', startedMs: Date.now() });
      context.events.record('vmStartAsked', actor, { vm, host: hostOf(context, vm).name });
    });
  } catch (error) {
    release();
    throw error;
  }
  const settled = context.background.run(`start VM ${vm.name}`, async () => {
    try {
      await launch(context, vm, actor);
    } finally {
      release();
    }
  });
  return { settled };
}

function pluggedDisks(context: Context, vm: VmRecord): DiskRecord[] {
  return attachmentsOf(context, vm.id)
    .filter((attachment) => attachment.active)
    .flatMap((attachment) => context.store.tables.disks.get(attachment.diskId) ?? []);
}

async function validateStart(context: Context, vm: VmRecord): Promise<void> {
  refuseLockedSnapshot(context, vm.id, 'start-vm/during-snapshot');
  if (isRunning(vm)) throw refuse('start-vm/running', { status: statusWord(vm.status) });
  const disks = pluggedDisks(context, vm);
  refuseInactiveDomains(context, disks, 'start-vm/domain-status');
  refuseLockedDisks(disks, 'start-vm/disks-locked');
  await refuseIllegalDisks(context, disks, 'start-vm/disks-illegal');
  if (disks.some((disk) => context.store.tables.domains.get(disk.domainId)?.backup === true)) throw refuse('start-vm/backup-domain');
  if (backupKeepsState(context, vm.id)) throw refuse('start-vm/in-backup');
}

async function launch(context: Context, vm: VmRecord, actor: Actor): Promise<void> {
  const disks = attachmentsOf(context, vm.id)
    .filter((attachment) => attachment.active)
    .flatMap((attachment) => vmDisk(context, attachment) ?? []);
  try {
    await context.host.startVm({ vmId: vm.id, name: vm.name, disks });
    context.events.record('vmStarted', actor, { vm, host: hostOf(context, vm).name });
  } catch (error) {
    context.log(`start VM ${vm.name}: ${String(error)}`);
    context.store.write(() => {
      setStatus(context, vm.id, context.host.vmStatus(vm.id));
      context.events.record('vmStartFailed', actor, { vm });
    });
  }
}

/**
 * Stop and shutdown take no lock: a guest may be stopped in the middle of its snapshot. Of a VM that is down both are a success (StopVmCommandBase:
 * shouldSkipCommandExecution; observed). `force`: in spite of a backup.
 */
function mayStop(context: Context, vm: VmRecord, C: Phrase, force: boolean): boolean {
  if (vm.status === 'down') return false;
  if (!force && backupKeepsState(context, vm.id)) throw refuse(C === 'Cannot stop VM' ? 'stop-vm/in-backup' : 'shutdown-vm/in-backup');
  if (!isRunning(vm)) throw refuse('stop-vm/not-running', { C });
  return true;
}

export async function stopVm(context: Context, vmId: string, actor: Actor, force = false): Promise<void> {
  const vm = needVm(context, vmId);
  if (mayStop(context, vm, 'Cannot stop VM', force)) await destroyVm(context, vm, actor);
}

async function destroyVm(context: Context, vm: VmRecord, actor: Actor): Promise<void> {
  try {
    context.expectedDown.add(vm.id);
    await asFault(context, context.host.stopVm(vm.id));
    context.store.write(() => {
      setStatus(context, vm.id, context.host.vmStatus(vm.id));
      context.events.record('vmStopped', actor, { vm, host: hostOf(context, vm).name });
    });
  } finally {
    context.expectedDown.delete(vm.id);
  }
}

export async function shutdownVm(context: Context, vmId: string, actor: Actor, force = false): Promise<void> {
  const vm = needVm(context, vmId);
  if (!mayStop(context, vm, 'Cannot shutdown VM', force)) return;
  // ShutdownVmCommand.canShutdownVm: a guest that is not up would not hear it.
  if (vm.status !== 'up') return destroyVm(context, vm, actor);
  context.expectedDown.add(vm.id);
  try {
    await asFault(context, context.host.shutdownVm(vm.id));
  } catch (error) {
    context.expectedDown.delete(vm.id);
    throw error;
  }
  context.events.record('shutdownAsked', actor, { vm, host: hostOf(context, vm).name });
}

export async function freezeOrThaw(context: Context, vmId: string, action: 'freeze' | 'thaw', actor: Actor): Promise<void> {
  const vm = needVm(context, vmId);
  const C = `Cannot ${action} VM` as const;
  if (vm.status !== 'up') throw refuse('freeze-vm/not-up', { C, status: statusWord(vm.status) });
  try {
    await context.host[action](vm.id);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    context.log(`${action} VM ${vm.name}: ${error.message}`);
    context.events.record(action === 'freeze' ? 'freezeFailed' : 'thawFailed', actor, { vm, host: hostOf(context, vm).name });
    throw refuse('freeze-vm/failed');
  }
  context.events.record(action === 'freeze' ? 'freezeDone' : 'thawDone', actor, { vm });
}

async function asFault(context: Context, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    context.log(error.message);
    throw operationFailed(400, '');
  }
}

export function setStatus(context: Context, vmId: string, status: HostVmStatus, reason?: string): void {
  const { vms } = context.store.tables;
  const before = vms.get(vmId);
  if (before === undefined || before.status === status || before.status === 'image_locked') return;
  const down = status === 'down' ? { stoppedMs: Date.now(), ...(reason === undefined ? {} : { stopReason: reason }) } : {};
  vms.put({ ...without(before, 'stopReason'), status, ...down });
}

const engineActor: Actor = { user: 'SYSTEM', correlationId: '' };

/** From now on the host's reports become statuses and events. */
export function watchVms(context: Context): void {
  context.host.onVmEvent((event) => {
    try {
      context.store.write(() => {
        report(context, event);
      });
    } catch (error) {
      context.log(`event of VM ${event.vmId}: ${String(error)}`);
    }
  });
}

function report(context: Context, { vmId, status, reason }: HostVmEvent): void {
  const vm = context.store.tables.vms.get(vmId);
  if (vm === undefined || vm.status === status || vm.status === 'image_locked') return;
  setStatus(context, vmId, status, reason);
  if (status === 'paused') context.events.record('vmPaused', engineActor, { vm });
  if (status === 'not_responding') context.events.record('vmNotResponding', engineActor, { vm });
  if (status !== 'down') return;
  const asked = context.expectedDown.delete(vmId) || reason === 'guest shutdown';
  context.events.record(asked ? 'vmDown' : 'vmDownError', engineActor, { vm, reason: reason ?? 'User shut down from within the guest' });
}

/** At start: the host knows best. An adopted QEMU whose agent has not answered yet is the same guest that was up before. */
export function syncVmStatuses(context: Context): void {
  for (const vm of context.store.tables.vms.all()) {
    const status = context.host.vmStatus(vm.id);
    if (vm.status === 'up' && status === 'powering_up') continue;
    report(context, { vmId: vm.id, status, reason: 'the VM was not there any more when the engine started' });
  }
}
