// Which bitmaps of a chain of volumes can be trusted (pure). A checkpoint's bitmap begins in the volume that was active then and goes on, under
// its name, in every volume that was put on top; what changed since the checkpoint is what all of these say together.
import { HostError } from '../port';
import type { BitmapInfo } from '../backup-port';

/** Equal everywhere, since QEMU merges bitmaps of equal granularity only; the size of a qcow2 cluster, as libvirt's and vdsm's. */
export const granularityBytes = 65_536;

export interface LayerBitmaps<Place> {
  readonly at: Place;
  readonly bitmaps: readonly BitmapInfo[];
}

/** A bitmap that does not record has missed something: the host marks so what it could not carry down in a merge. */
export const isGood = (bitmap: BitmapInfo): boolean => bitmap.recording && !bitmap.inconsistent && bitmap.granularityBytes === granularityBytes;

export const goodNames = (bitmaps: readonly BitmapInfo[]): readonly string[] => bitmaps.filter(isGood).map(({ name }) => name);

/** The bitmaps to unite, active volume first; `bitmap-lost` when one of the checkpoints cannot be told from them. */
export function bitmapsSince<Place>(layers: readonly LayerBitmaps<Place>[], checkpointIds: readonly string[], subject: string): readonly { readonly at: Place; readonly name: string }[] {
  return checkpointIds.flatMap((name) => {
    const held = layers.map(({ at, bitmaps }) => ({ at, bitmap: bitmaps.find((bitmap) => bitmap.name === name) }));
    const end = held.findIndex(({ bitmap }) => bitmap === undefined);
    const unbroken = end < 0 ? held : held.slice(0, end);
    if (unbroken.length === 0) throw lost(subject, name, 'its volume has no such bitmap');
    if (held.slice(unbroken.length).some(({ bitmap }) => bitmap !== undefined)) throw lost(subject, name, 'a volume in between has no such bitmap');
    if (unbroken.some(({ bitmap }) => bitmap !== undefined && !isGood(bitmap))) throw lost(subject, name, 'QEMU lost track of it (its process was killed, or a merge could not carry it)');
    return unbroken.map(({ at }) => ({ at, name }));
  });
}

function lost(subject: string, name: string, why: string): HostError {
  return new HostError('bitmap-lost', `${subject}: what changed since checkpoint ${name} cannot be told, ${why}; make a full backup`);
}

/** What a merge does with the bitmaps of the two volumes, after the data of `top` went down into `base`. */
export type CarryStep = { readonly kind: 'add' | 'merge' | 'disable' | 'remove'; readonly name: string };

/**
 * `top` is the newer of the two, so what it does not track any more is not tracked. What it lost track of must stay lost, though the volumes above may go on recording:
 * a bitmap in `base` that does not record tells that.
 */
export function carrySteps(base: readonly BitmapInfo[], top: readonly BitmapInfo[]): readonly CarryStep[] {
  const inBase = new Map(base.map((bitmap) => [bitmap.name, bitmap]));
  const kept = top.flatMap((bitmap): CarryStep[] => {
    const { name } = bitmap;
    const below = inBase.get(name);
    if (below && !isGood(below)) return [];
    const begin: CarryStep[] = below ? [] : [{ kind: 'add', name }];
    return [...begin, { kind: isGood(bitmap) ? 'merge' : 'disable', name }];
  });
  const names = new Set(top.map(({ name }) => name));
  return [...base.filter(({ name }) => !names.has(name)).map(({ name }): CarryStep => ({ kind: 'remove', name })), ...kept];
}
