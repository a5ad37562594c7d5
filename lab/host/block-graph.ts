// QEMU's block nodes for a disk: every layer of the chain is a node of its own with a name made from its volume id, so that
// later commands (snapshot, commit, export) can name any layer. Names have at most 31 characters; a UUID in base 36 has 25.
import path from 'node:path';
import { z } from 'zod';
import { HostError, type VmDisk, type VolumeRef } from './port';
import { QmpError } from './qmp-client';
import type { RunningVm } from './running-vm';
import { describeVolume, driverOf, type Layer } from './storage';
import { runTool, toHostError } from './tools';
import { removeFile } from './state-file';

const nodesSchema = z.array(z.object({ 'node-name': z.string().optional(), file: z.string(), drv: z.string(), backing_file_depth: z.number() }));
const blockSchema = z.array(z.object({ qdev: z.string().optional(), inserted: z.object({ file: z.string() }).optional() }));

const describedFile = z.object({ file: z.object({ filename: z.string() }) });

/** QEMU describes a node whose backing file is not the one in its header (as after a live snapshot) as `json:{...}`. */
function plainPath(file: string): string {
  return file.startsWith('json:') ? describedFile.parse(JSON.parse(file.slice('json:'.length))).file.filename : file;
}

const base36 = (uuid: string): string => BigInt(`0x${uuid.replaceAll('-', '')}`).toString(36);
export const volumeNode = (volume: VolumeRef): string => `v${base36(volume.volumeId)}`;
/** Where a live backup keeps what the guest overwrites; no layer of any disk, so `nodesOf` does not tell of it. */
export const scratchNode = (volume: VolumeRef): string => `s${base36(volume.volumeId)}`;
const overlayNode = (diskId: string): string => `t${base36(diskId)}`;
export const deviceId = (diskId: string): string => `disk-${diskId}`;

export const overlayPath = (vm: RunningVm, diskId: string): string => path.join(vm.paths.overlays, `${diskId}.qcow2`);
/** The node that the guest's device sits on. */
export const guestNode = (disk: VmDisk): string => (disk.transient ? overlayNode(disk.diskId) : volumeNode(disk.top));

export interface GraphNode {
  readonly name: string;
  readonly file: string;
}

/** Named nodes of this host (not QEMU's own `#block..` ones) that belong to a disk, overlays before what they rest on. */
export async function nodesOf(vm: RunningVm, diskId?: string): Promise<readonly GraphNode[]> {
  const nodes = nodesSchema.parse(await vm.qmp.execute('query-named-block-nodes', { flat: true }));
  return nodes
    .filter((node) => /^[vt][0-9a-z]+$/.test(node['node-name'] ?? ''))
    .map((node) => ({ name: node['node-name'] ?? '', file: plainPath(node.file), depth: node.backing_file_depth }))
    .filter(({ file }) => diskId === undefined || diskOfFile(vm, file) === diskId)
    .sort((left, right) => Number(right.name.startsWith('t')) - Number(left.name.startsWith('t')) || right.depth - left.depth);
}

function diskOfFile(vm: RunningVm, file: string): string | undefined {
  return vm.host.storage.volumeAt(file)?.diskId ?? (path.dirname(file) === vm.paths.overlays ? path.basename(file, '.qcow2') : undefined);
}

/** Which node, of which file, each plugged disk sits on at this moment, whatever filter of a job is between them. */
export async function pluggedNodes(vm: RunningVm): Promise<ReadonlyMap<string, GraphNode>> {
  const plugged = new Map<string, GraphNode>();
  for (const { qdev, inserted } of blockSchema.parse(await vm.qmp.execute('query-block'))) {
    const diskId = /disk-([0-9a-f-]{36})/.exec(qdev ?? '')?.[1];
    if (diskId === undefined || !inserted) continue;
    const file = plainPath(inserted.file);
    const volume = vm.host.storage.volumeAt(file);
    plugged.set(diskId, { name: volume ? volumeNode(volume) : overlayNode(diskId), file });
  }
  return plugged;
}

/** Opens the whole chain, base first, and the throw-away overlay of a transient disk. Nothing stays open when it fails. */
export async function openDisk(vm: RunningVm, disk: VmDisk): Promise<void> {
  const chain = [...(await vm.host.storage.chain(disk.top))].reverse();
  const writableTop = !disk.readOnly && !disk.transient;
  try {
    let below: string | null = null;
    for (const layer of chain) below = await openLayer(vm, layer, below, writableTop && layer.volume.volumeId === disk.top.volumeId);
    if (disk.transient) await openOverlay(vm, disk, below);
  } catch (error) {
    await closeDisk(vm, disk.diskId);
    throw toHostError(error, `${describeVolume(disk.top)} for ${vm.label}`);
  }
}

async function openLayer(vm: RunningVm, layer: Layer, below: string | null, writable: boolean): Promise<string> {
  const name = volumeNode(layer.volume);
  await vm.qmp.execute('blockdev-add', {
    ...{ driver: driverOf(layer.format), 'node-name': name, 'read-only': !writable, discard: 'unmap' },
    // Inline, so that a commit can reopen layer and file for writing together.
    file: { driver: 'file', filename: layer.path, discard: 'unmap' },
    ...(layer.format === 'cow' ? { backing: below } : {}),
  });
  return name;
}

async function openOverlay(vm: RunningVm, disk: VmDisk, below: string | null): Promise<void> {
  const file = overlayPath(vm, disk.diskId);
  const { virtualBytes } = await vm.host.storage.volumeInfo(disk.top);
  await runTool('qemu-img', ['create', '-q', '-f', 'qcow2', '-u', '-b', vm.host.storage.volumePath(disk.top), '-F', driverOf(disk.format), file, String(virtualBytes)]);
  await vm.qmp.execute('blockdev-add', { driver: 'qcow2', 'node-name': overlayNode(disk.diskId), 'read-only': disk.readOnly, discard: 'unmap', file: { driver: 'file', filename: file, discard: 'unmap' }, backing: below });
}

/** Closes every node of a disk that nothing uses any more, top first, and removes its throw-away overlay. Absent is fine. */
export async function closeDisk(vm: RunningVm, diskId: string): Promise<void> {
  for (const { name } of await nodesOf(vm, diskId)) await vm.qmp.execute('blockdev-del', { 'node-name': name });
  await removeFile(overlayPath(vm, diskId));
}

/** A new, empty layer that `blockdev-snapshot` will put on top of its disk. */
export async function openDetachedLayer(vm: RunningVm, layer: Layer): Promise<string> {
  return openLayer(vm, layer, null, true);
}

export async function closeNodeIfOpen(vm: RunningVm, node: string): Promise<void> {
  if ((await nodesOf(vm)).some(({ name }) => name === node)) await vm.qmp.execute('blockdev-del', { 'node-name': node });
}

/**
 * After a lab that was killed: layers it had opened and never put to use, as between opening a snapshot's layer and changing over to it.
 * QEMU itself says which these are: it lets go of no node that a device, another layer or a job rests on.
 */
export async function closeUnusedLayers(vm: RunningVm, diskId: string): Promise<void> {
  for (const { name } of await nodesOf(vm, diskId)) {
    await vm.qmp.execute('blockdev-del', { 'node-name': name }).catch((error: unknown) => {
      if (!(error instanceof QmpError)) throw error;
    });
  }
}

/** QEMU's chain of a plugged disk, top first, as volumes. */
export async function chainInQemu(vm: RunningVm, diskId: string): Promise<readonly VolumeRef[]> {
  const volumes: VolumeRef[] = [];
  for (const { name, file } of await nodesOf(vm, diskId)) {
    const volume = vm.host.storage.volumeAt(file);
    if (name.startsWith('v') && volume) volumes.push(volume);
  }
  return volumes;
}

/** Two guests writing into one raw image: QEMU cannot refuse that by itself, because a raw disk that is exported too shares its write lock. */
export function refuseSecondWriter(disk: VmDisk, writer: boolean): void {
  if (writer) throw new HostError('volume-in-use', `${describeVolume(disk.top)} is open for writing in another QEMU; unplug it there first`);
}
