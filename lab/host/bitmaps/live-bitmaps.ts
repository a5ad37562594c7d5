// Bitmaps of volumes that a running QEMU has open, over its monitor. Only the active volume is open for writing; the bitmaps of those
// below can be read there, and changed while a merge writes to them.
import { z } from 'zod';
import type { BitmapInfo } from '../backup-port';
import { volumeNode } from '../block-graph';
import { HostError, type VolumeRef } from '../port';
import type { RunningVm } from '../running-vm';
import { describeVolume } from '../storage';
import { bitmapsSince, carrySteps, goodNames, granularityBytes, type CarryStep } from './good-bitmaps';

const nodesSchema = z.array(
  z.object({
    'node-name': z.string().optional(),
    'dirty-bitmaps': z.array(z.object({ name: z.string().optional(), recording: z.boolean(), persistent: z.boolean(), granularity: z.number(), inconsistent: z.boolean().default(false) })).default([]),
  }),
);

export type BitmapAction = { readonly type: string; readonly data: object };

/** The persistent ones by node; what jobs and backups keep for themselves is left out. */
export async function liveBitmaps(vm: RunningVm): Promise<(node: string) => readonly BitmapInfo[]> {
  const nodes = nodesSchema.parse(await vm.qmp.execute('query-named-block-nodes', { flat: true }));
  const byNode = new Map(
    nodes.map((node) => [
      node['node-name'],
      node['dirty-bitmaps'].flatMap(({ name, persistent, recording, inconsistent, granularity }) =>
        name === undefined || !persistent ? [] : [{ name, recording, inconsistent, granularityBytes: granularity }],
      ),
    ]),
  );
  return (node) => byNode.get(node) ?? [];
}

export const addAction = (node: string, name: string): BitmapAction => ({ type: 'block-dirty-bitmap-add', data: { node, name, persistent: true, granularity: granularityBytes } });

/** In the transaction of a snapshot, so that no write falls between the layers. */
export function continueActions(bitmaps: readonly BitmapInfo[], nextNode: string, toCheckpointId?: string): readonly BitmapAction[] {
  const names = goodNames(bitmaps);
  return (toCheckpointId === undefined ? names : [...names, toCheckpointId]).map((name) => addAction(nextNode, name));
}

/** Nodes and names to unite, of the active `volume` and those below it; refuses with `bitmap-lost`. */
export async function liveBitmapsSince(vm: RunningVm, volume: VolumeRef, checkpointIds: readonly string[]): Promise<readonly { readonly node: string; readonly name: string }[]> {
  const of = await liveBitmaps(vm);
  const layers = (await vm.host.storage.chain(volume)).map((layer) => ({ at: volumeNode(layer.volume), bitmaps: of(volumeNode(layer.volume)) }));
  return bitmapsSince(layers, checkpointIds, `${vm.label}, ${describeVolume(volume)}`).map(({ at, name }) => ({ node: at, name }));
}

/** While a merge's job waits for leave to end: `base` is still open for writing, and nothing is written to `top` any more. */
export async function carryDownLive(vm: RunningVm, { base, top }: { readonly base: VolumeRef; readonly top: VolumeRef }): Promise<void> {
  if ((await vm.host.storage.formatOf(base)) === 'raw') return; // a raw volume keeps no bitmaps: its checkpoints end here
  const of = await liveBitmaps(vm);
  const [node, topNode] = [volumeNode(base), volumeNode(top)];
  const action: Readonly<Record<CarryStep['kind'], (name: string) => BitmapAction>> = {
    add: (name) => addAction(node, name),
    merge: (name) => ({ type: 'block-dirty-bitmap-merge', data: { node, target: name, bitmaps: [{ node: topNode, name }] } }),
    disable: (name) => ({ type: 'block-dirty-bitmap-disable', data: { node, name } }),
    remove: (name) => ({ type: 'block-dirty-bitmap-remove', data: { node, name } }),
  };
  const actions = carrySteps(of(node), of(topNode)).map(({ kind, name }) => action[kind](name));
  if (actions.length > 0) await vm.qmp.execute('transaction', { actions });
}

/** Of the active volume; absent is fine. A bitmap below an active volume that has none of its name counts for nothing. */
export async function removeLiveBitmaps(vm: RunningVm, volume: VolumeRef, which: (name: string) => boolean): Promise<void> {
  const node = volumeNode(volume);
  for (const { name } of (await liveBitmaps(vm))(node)) {
    if (!which(name)) continue;
    await vm.qmp.execute('block-dirty-bitmap-remove', { node, name }).catch((error: unknown) => {
      throw new HostError('qemu-failed', `${vm.label}: bitmap ${name} of ${describeVolume(volume)} could not be removed: ${String(error)}`);
    });
  }
}
