// Bitmaps in volumes that no QEMU has open for writing: read from the file's header, changed by `qemu-img bitmap`.
import type { BitmapInfo } from '../backup-port';
import { HostError, type VolumeRef } from '../port';
import { describeVolume, type Layer, type Storage } from '../storage';
import { runTool, toHostError } from '../tools';
import { bitmapsSince, carrySteps, goodNames, granularityBytes, type CarryStep } from './good-bitmaps';

/** None for a raw volume. `in-use` in a file that nobody writes to: who wrote to it was killed. */
export async function fileBitmaps(storage: Storage, volume: VolumeRef): Promise<readonly BitmapInfo[]> {
  if ((await storage.formatOf(volume)) === 'raw') return [];
  const [image] = await storage.imageInfo(volume, false);
  return (image?.['format-specific']?.data?.bitmaps ?? []).map(({ name, granularity, flags }) => ({ name, inconsistent: flags.includes('in-use'), recording: flags.includes('auto'), granularityBytes: granularity }));
}

export async function addFileBitmap(file: string, name: string): Promise<void> {
  await runTool('qemu-img', ['bitmap', '--add', '-g', String(granularityBytes), '-f', 'qcow2', file, name]);
}

export async function mergeFileBitmap(source: { readonly file: string; readonly name: string }, target: { readonly file: string; readonly name: string }): Promise<void> {
  await runTool('qemu-img', ['bitmap', '--merge', source.name, '-b', source.file, '-F', 'qcow2', '-f', 'qcow2', target.file, target.name]).catch((error: unknown) => {
    if (!saysSizesDiffer(error)) throw error;
    throw new HostError('bitmap-lost', `${target.file}: the disk grew since bitmap ${source.name} began below it; make a full backup (${String(error)})`);
  });
}

/** QEMU unites only bitmaps of images of one size. */
export const saysSizesDiffer = (error: unknown): boolean => error instanceof Error && /incompatible and can't be merged/i.test(error.message);

/** Absent is fine. */
export async function removeFileBitmap(storage: Storage, volume: VolumeRef, name: string): Promise<void> {
  if (!(await fileBitmaps(storage, volume)).some((bitmap) => bitmap.name === name)) return;
  try {
    await runTool('qemu-img', ['bitmap', '--remove', '-f', 'qcow2', storage.volumePath(volume), name]);
  } catch (error) {
    throw toHostError(error, `bitmap ${name} of ${describeVolume(volume)}`);
  }
}

/** The layers whose bitmaps tell what changed; refuses with `bitmap-lost`. */
export async function fileBitmapsSince(storage: Storage, volume: VolumeRef, checkpointIds: readonly string[]): Promise<readonly { readonly at: Layer; readonly name: string }[]> {
  const layers = await Promise.all((await storage.chain(volume)).map(async (at) => ({ at, bitmaps: await fileBitmaps(storage, at.volume) })));
  return bitmapsSince(layers, checkpointIds, describeVolume(volume));
}

/** A new volume on top of `below`, not yet in use: tracking goes on in it, and a checkpoint may begin with it. */
export async function continueInFile(storage: Storage, below: VolumeRef, next: VolumeRef, toCheckpointId?: string): Promise<void> {
  const names = goodNames(await fileBitmaps(storage, below));
  for (const name of toCheckpointId === undefined ? names : [...names, toCheckpointId]) await addFileBitmap(storage.volumePath(next), name);
}

/** After `qemu-img commit`. May be asked again. */
export async function carryDownInFiles(storage: Storage, { base, top }: { readonly base: VolumeRef; readonly top: VolumeRef }): Promise<void> {
  if ((await storage.formatOf(base)) === 'raw') return; // a raw volume keeps no bitmaps: its checkpoints end here
  const [file, topFile] = [storage.volumePath(base), storage.volumePath(top)];
  const work: Readonly<Record<CarryStep['kind'], (name: string) => Promise<unknown>>> = {
    add: (name) => addFileBitmap(file, name),
    merge: (name) => mergeFileBitmap({ file: topFile, name }, { file, name }),
    disable: (name) => runTool('qemu-img', ['bitmap', '--disable', '-f', 'qcow2', file, name]),
    remove: (name) => runTool('qemu-img', ['bitmap', '--remove', '-f', 'qcow2', file, name]),
  };
  for (const { kind, name } of carrySteps(await fileBitmaps(storage, base), await fileBitmaps(storage, top))) await work[kind](name);
}
