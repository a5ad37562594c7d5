// Backups by image transfers, and what each of them must hold: read past Holdfast while the engine's VM backup is `ready`, by QEMU's own tools, from
// its live export or from the volume that nobody writes to any more.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { BackupHandle, BackupVmOutput, BackupVmRequest } from '../../../client';
import { untilProgress } from './copies';
import { contentOf } from './restores';
import type { Stack } from './stack';
import { ask, rootOf, volumePath, type TestVm } from './vms';

const run = promisify(execFile);

export type Style = 'live' | 'cold' | 'hybrid';

export interface Reference {
  readonly alias: string;
  /** Its bytes, raw; gone with the stack. */
  readonly file: string;
  readonly root: string;
}

/** By the ids of the disks. */
export type Moment = Readonly<Record<string, Reference>>;

export interface Point {
  readonly output: BackupVmOutput;
  readonly moment: Moment;
}

const backupsSchema = z.object({ backup: z.array(z.object({ id: z.string(), phase: z.string(), snapshot: z.object({ id: z.string() }).optional() })).default([]) });
const backupDisksSchema = z.object({ disk: z.array(z.object({ id: z.string(), alias: z.string() })) });

export const transferBackup = async (stack: Stack, vm: Pick<TestVm, 'id'>, request: Partial<BackupVmRequest> = {}): Promise<BackupHandle> =>
  stack.track(await stack.client.backupVm({ engine: stack.engine, vmId: vm.id, repository: stack.repository, method: 'transfer', ...request }));

/** A run whose VM backup is `ready` and whose copies wait to be let go. */
export async function heldBackup(stack: Stack, vm: Pick<TestVm, 'id'>, request: Partial<BackupVmRequest> = {}): Promise<BackupHandle> {
  const handle = await transferBackup(stack, vm, request);
  await handle.pause();
  await untilHeld(handle);
  return handle;
}

/** Of a run that was told to pause. */
export const untilHeld = (handle: BackupHandle): Promise<unknown> => untilProgress(handle, 'its copies are held', ({ phase, paused }) => paused && phase === 'copy', 60_000, 200);

/** The backup, and what it must hold. `whileReady`: what is to happen after the reference is taken. */
export async function backUpAt(stack: Stack, vm: Pick<TestVm, 'id'>, request: Partial<BackupVmRequest> = {}, whileReady: (handle: BackupHandle) => Promise<unknown> = () => Promise.resolve()): Promise<Point> {
  const handle = await heldBackup(stack, vm, request);
  const moment = await momentOf(stack, vm);
  await whileReady(handle);
  await handle.resume();
  return { output: await handle.result(), moment };
}

/** Of the VM backup that is `ready`. */
export async function momentOf(stack: Stack, { id: vmId }: Pick<TestVm, 'id'>): Promise<Moment> {
  const { lab, parts, env } = stack;
  const { backup: backups } = backupsSchema.parse(await lab.engine('GET', `/vms/${vmId}/backups`));
  const backup = backups.find(({ phase }) => phase === 'ready');
  if (!backup) throw new Error(`VM ${vmId} is in no VM backup that is ready`);
  const { disk: disks } = backupDisksSchema.parse(await lab.engine('GET', `/vms/${vmId}/backups/${backup.id}/disks`));
  const frozen = backup.snapshot ? await ask.snapshotDisks(stack, vmId, backup.snapshot.id) : undefined;
  const isLive = frozen === undefined && (await statusOf(stack, vmId)) !== 'down';
  const directory = await mkdtemp(path.join(parts.state, 'moment-'));
  return Object.fromEntries(await Promise.all(disks.map(async ({ id, alias }) => {
    const file = path.join(directory, id);
    const volume = (frozen ?? []).find((each) => each.id === id) ?? (await ask.disk(stack, id));
    if (!volume) throw new Error(`the engine has no disk ${id}`);
    const source = isLive ? ['-f', 'raw', await liveExport(stack, vmId, backup.id, id)] : ['-U', '-f', volume.format === 'cow' ? 'qcow2' : 'raw', await volumePath(stack, volume)];
    await run('qemu-img', ['convert', ...source, '-O', 'raw', file], { env });
    return [id, { alias, file, root: await rootOf(file) }] as const;
  })));
}

async function statusOf({ lab }: Stack, vmId: string): Promise<string> {
  return z.object({ status: z.string() }).parse(await lab.engine('GET', `/vms/${vmId}`)).status;
}

/** What QEMU itself serves of the disk: by the name that the lab's host gives it (lab/host/backups/live-backup.ts). */
async function liveExport({ labState }: Stack, vmId: string, backupId: string, diskId: string): Promise<string> {
  const { nbd } = z.object({ nbd: z.string() }).parse(JSON.parse(await readFile(path.join(labState, 'vms', vmId, 'sockets.json'), 'utf8')));
  return `nbd:unix:${nbd}:exportname=backup-${backupId}-${diskId}`;
}

export const rootsAt = (moment: Moment): Record<string, string> => Object.fromEntries(Object.values(moment).map(({ alias, root }) => [alias, root]));

const granuleBytes = 65_536;

/** Bytes of the granules (of the engine's change tracking) that differ: what an incremental backup has to read of a disk. */
export async function changedBytes(before: Reference | undefined, after: Reference | undefined): Promise<number> {
  if (!before || !after) throw new Error('there is nothing to compare');
  const [old, now] = await Promise.all([readFile(before.file), readFile(after.file)]);
  let bytes = 0;
  for (let at = 0; at < Math.max(old.length, now.length); at += granuleBytes) if (!old.subarray(at, at + granuleBytes).equals(now.subarray(at, at + granuleBytes))) bytes += granuleBytes;
  return bytes;
}

let restored = 0;

/** As new VMs, all at once; what the engine's volumes hold is read by qemu-img. */
export async function expectRestores(stack: Stack, name: string, points: readonly Point[], methods: readonly ('transfer' | 'appliance')[]): Promise<void> {
  await Promise.all(points.flatMap(({ output: { backup }, moment }, at) => methods.map(async (method) => {
    const handle = stack.track(await stack.client.restoreVm({ engine: stack.engine, repository: stack.repository, backupId: backup.backupId, method, name: `${name}-${at}-${method}-${++restored}` }));
    const output = await handle.result();
    stack.keptVmIds.add(output.vmId);
    stack.afterwards(() => stack.lab.removeWithDisks(output.vmId));
    expect(output).toMatchObject({ warnings: [], leftovers: [] });
    expect(await contentOf(stack, output.vmId)).toEqual(rootsAt(moment));
  })));
}
