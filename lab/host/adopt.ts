// After a restart of the lab: which QEMUs of this state still live? These are taken over as they are (QEMU's own graph is the truth
// about their disks, the state file may be one step behind); of the others only the remains are cleared away.
import fs from 'node:fs/promises';
import { z } from 'zod';
import { closeDisk, closeNodeIfOpen, closeUnusedLayers, nodesOf, pluggedNodes, volumeNode } from './block-graph';
import { addExport, entryName, exportId, exportIds } from './exports';
import { finalizePendingMerges } from './merge';
import { detach } from './plug';
import type { VmDisk, VmSpec } from './port';
import { identify, isAlive, processSchema, type ProcessIdentity } from './processes';
import { QmpClient } from './qmp-client';
import { RunningVm, specSchema, type HostContext, type VmPaths } from './running-vm';
import { readJsonFile, removeFile } from './state-file';
import { exists } from './storage';

const monitorLimitMs = 10_000;
const statusSchema = z.object({ status: z.string() });

/** undefined when no QEMU of this VM lives. */
export async function findQemu(host: HostContext, paths: VmPaths, vmId: string): Promise<ProcessIdentity | undefined> {
  const noted = await readJsonFile(paths.pid, processSchema);
  if (noted && (await isAlive(noted))) return noted;
  // The lab may have been killed between starting QEMU and noting it; QEMU writes its own pid file, but a pid alone may be reused.
  const pid = Number(await fs.readFile(paths.pidFile, 'utf8').catch(() => ''));
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const commandLine = await fs.readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine.includes(`unix:${host.run.sockets(vmId).qmp},`) ? identify(pid) : undefined;
}

export async function adoptVm(host: HostContext, paths: VmPaths, spec: VmSpec, identity: ProcessIdentity): Promise<RunningVm> {
  const vm = new RunningVm(host, paths, spec, identity, 'wait_for_launch');
  vm.attachMonitor(await QmpClient.connect(vm.sockets.qmp, { timeoutMs: monitorLimitMs }));
  await finalizePendingMerges(vm);
  await reconcileDisks(vm);
  if (await exists(paths.heldByHost)) {
    await vm.qmp.execute('cont');
    await removeFile(paths.heldByHost);
  }
  if (await exists(paths.frozenByHost)) {
    await vm.agent.execute('guest-fsfreeze-thaw', {}, 10_000).catch(() => undefined);
    await removeFile(paths.frozenByHost);
  }
  const { status } = statusSchema.parse(await vm.qmp.execute('query-status'));
  vm.statusFrom(status);
  return vm;
}

export async function readSpec(paths: VmPaths): Promise<VmSpec | undefined> {
  return readJsonFile(paths.spec, specSchema);
}

/** Half-plugged disks are taken out again; of whole ones the active volume is what QEMU says. */
async function reconcileDisks(vm: RunningVm): Promise<void> {
  const plugged = await pluggedNodes(vm);
  const exported = new Set(await exportIds(vm));
  for (const disk of [...vm.disks.values()]) {
    const node = plugged.get(disk.diskId);
    if (node) vm.disks.set(disk.diskId, await withTop(vm, disk, node.file));
    else vm.disks.delete(disk.diskId);
    if (node) await closeUnusedLayers(vm, disk.diskId);
  }
  for (const diskId of new Set([...plugged.keys(), ...(await disksWithNodes(vm))])) {
    const disk = vm.disks.get(diskId);
    if (!disk) await dropStray(vm, diskId);
    // Interrupted in a merge: while its job runs QEMU refuses the export, and the merge's second half brings it back.
    else if (!exported.has(exportId(diskId))) await addExport(vm, disk).catch((error: unknown) => vm.host.log.warn({ vmId: vm.vmId, diskId, error: String(error) }, `${vm.label}: disk ${diskId} is not served by id for now`));
  }
  await vm.saveSpec();
}

/** Where the noted volume is no longer part of the chain, a live merge had taken it out and only its file is left to remove. */
async function withTop(vm: RunningVm, disk: VmDisk, file: string): Promise<VmDisk> {
  const { storage } = vm.host;
  const top = storage.volumeAt(file);
  if (disk.transient || !top || top.volumeId === disk.top.volumeId) return disk;
  const chain = await storage.chain(top);
  if (!chain.some(({ volume }) => volume.volumeId === disk.top.volumeId)) {
    await closeNodeIfOpen(vm, volumeNode(disk.top));
    await storage.removeVolume(disk.top);
  }
  return { ...disk, top, format: await storage.formatOf(top) };
}

async function disksWithNodes(vm: RunningVm): Promise<readonly string[]> {
  return (await nodesOf(vm)).flatMap(({ file }) => vm.host.storage.volumeAt(file)?.diskId ?? []);
}

async function dropStray(vm: RunningVm, diskId: string): Promise<void> {
  const disk = { diskId, top: { domainId: '', diskId, volumeId: '' }, format: 'cow', readOnly: true, transient: false } as const;
  await removeFile(`${vm.paths.byId}/${entryName({ diskId, bus: 'virtio' })}`);
  await detach(vm, { ...disk, bus: 'virtio_scsi' });
  await closeDisk(vm, diskId);
}
