// Disks come to and go from a running VM: open the chain, plug the device (its serial is the whole disk id), serve it by id;
// and the same backwards. Each step is undone when a later one fails.
import { setTimeout as sleep } from 'node:timers/promises';
import { hasBackup } from './backups/live-backup';
import { closeDisk, deviceId, guestNode, openDisk, refuseSecondWriter } from './block-graph';
import { addExport, removeExport } from './exports';
import { imageUse } from './image-locks';
import { HostError, type VmDisk } from './port';
import { QmpError } from './qmp-client';
import type { RunningVm } from './running-vm';
import { toHostError } from './tools';

const unplugLimitMs = 20_000;
const unplugRetryMs = 2_500;

export function plugDisk(vm: RunningVm, disk: VmDisk): Promise<void> {
  return vm.diskTurns.run(disk.diskId, async () => {
    if (vm.disks.has(disk.diskId)) throw new HostError('volume-in-use', `disk ${disk.diskId} is plugged into ${vm.label} already`);
    await attach(vm, disk);
    vm.disks.set(disk.diskId, disk);
    await vm.saveSpec();
  });
}

/** Without the books: used for the disks a VM starts with, too. */
export async function attach(vm: RunningVm, disk: VmDisk): Promise<void> {
  if (disk.format === 'raw' && !disk.readOnly && !disk.transient) refuseSecondWriter(disk, (await imageUse(vm.host.storage.volumePath(disk.top))).writer);
  await openDisk(vm, disk);
  try {
    await addDevice(vm, disk);
    await addExport(vm, disk);
  } catch (error) {
    await detach(vm, disk);
    throw toHostError(error, `disk ${disk.diskId} for ${vm.label}`);
  }
}

async function addDevice(vm: RunningVm, disk: VmDisk): Promise<void> {
  // A writable disk is written by its export as well (share-rw). A transient one is not: sharing would also weaken the lock on what it rests on.
  const common = { id: deviceId(disk.diskId), drive: guestNode(disk), serial: disk.diskId, 'share-rw': !disk.readOnly && !disk.transient };
  switch (disk.bus) {
    case 'virtio_scsi':
      await vm.qmp.execute('device_add', { driver: 'scsi-hd', bus: 'scsi0.0', ...common });
      return;
    case 'virtio':
      // QEMU takes 20 characters and refuses a longer serial number.
      await vm.qmp.execute('device_add', { driver: 'virtio-blk-pci', ...common, serial: disk.diskId.slice(0, 20) });
      return;
  }
}

export function unplugDisk(vm: RunningVm, diskId: string): Promise<void> {
  return vm.diskTurns.run(diskId, async () => {
    const disk = vm.disks.get(diskId);
    if (!disk) return;
    if (await hasBackup(vm, diskId)) throw new HostError('device-busy', `disk ${diskId} of ${vm.label} is in a backup; end that first`);
    await leaveGuest(vm, disk);
    await detach(vm, disk);
    vm.disks.delete(diskId);
    await vm.saveSpec();
  });
}

/** Ends the export, the device and the nodes, whatever of them exists. */
export async function detach(vm: RunningVm, disk: VmDisk): Promise<void> {
  await removeExport(vm, disk);
  if (!(await removeDevice(vm, deviceId(disk.diskId)))) {
    await addExport(vm, disk);
    throw new HostError('device-busy', `${vm.label} did not let go of disk ${disk.diskId} within ${unplugLimitMs / 1000} s; its guest may be hanging or still booting`);
  }
  await closeDisk(vm, disk.diskId);
}

/** A mounted disk that vanishes leaves a guest with I/O errors. Best effort: an agent that is busy or absent does not hold up the unplug. */
async function leaveGuest(vm: RunningVm, disk: VmDisk): Promise<void> {
  const script = `device=$(disk-by-serial ${disk.diskId} 0) && sync && while grep -q "^$device " /proc/mounts; do umount $device || exit 1; done`;
  await vm.agent.shell(script, 5_000).catch(() => undefined);
}

/** A guest may overlook the request (virtio-blk asks it through ACPI), so it is repeated. False when it never complied. */
async function removeDevice(vm: RunningVm, device: string): Promise<boolean> {
  const deleted = vm.qmp.expectEvent(({ name, data }) => name === 'DEVICE_DELETED' && data['device'] === device);
  const seen = deleted(unplugLimitMs);
  for (const deadline = Date.now() + unplugLimitMs; Date.now() < deadline; ) {
    try {
      await vm.qmp.execute('device_del', { id: device });
    } catch (error) {
      if (error instanceof QmpError && error.errorClass === 'DeviceNotFound') return true;
      if (!(error instanceof QmpError) || !error.description.includes('unplug')) throw error; // else: "already in the process of unplug"
    }
    const pause = new AbortController();
    const came = await Promise.race([seen, sleep(unplugRetryMs, false, { signal: pause.signal }).catch(() => false)]);
    pause.abort();
    if (came) return true;
  }
  return seen;
}
