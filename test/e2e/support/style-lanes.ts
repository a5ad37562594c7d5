// One VM for each style of VM backup, and what a fault does to a backup of it: the run as it ended, what it had to hold, and the proof that the next
// one is right. Lanes work side by side; a fault of one VM or disk is no other lane's business.
import type { BackupHandle } from '../../../client';
import { LabFaults, type LabFault } from '../../crash/lab-faults';
import { some } from '../../support/share';
import { change } from './changes';
import { untilProgress } from './copies';
import { expectImages, transferManifest, type TransferManifest } from './images';
import { setLab } from './lab-control';
import { backUpAt, expectRestores, heldBackup, momentOf, transferBackup, type Moment, type Point, type Style } from './moments';
import type { Stack } from './stack';
import { makeVm, type TestVm } from './vms';

export interface Lane {
  readonly style: Style;
  readonly vm: TestVm;
  readonly diskId: string;
}

export type Lanes = (style: Style) => Lane;
export const everyStyle: readonly Style[] = ['live', 'cold', 'hybrid'];

/** A row of a table: the styles of VM backups that the fault can happen to, and what has to come of it on each of them. */
export interface FaultRow {
  readonly name: string;
  readonly on: readonly Style[];
  readonly proof: (styles: readonly Style[]) => Promise<void>;
}

/** All rows on all their styles, or so many of those of one style; in the order of the table, for what a row leaves behind may be in the next one's way. */
export function rowsToProve(rows: readonly FaultRow[], count: number): readonly FaultRow[] {
  const styles = some(everyStyle, 1);
  const possible = rows.map((row) => ({ ...row, on: row.on.filter((style) => styles.includes(style)) })).filter(({ on }) => on.length > 0);
  const taken = some(possible, count);
  return possible.filter((row) => taken.includes(row));
}

/** Each with a full backup, and a raw disk beside the tracked one. */
export async function makeLanes(stack: Stack, styles: readonly Style[] = everyStyle): Promise<Lanes> {
  const made = await Promise.all(styles.map(async (style) => {
    const vm = await makeVm(stack, `lane-${style}`, [
      { alias: `${style}_Disk1`, format: 'cow', sizeMib: 8, dataMib: 3, bootable: true, backup: 'incremental' },
      { alias: `${style}_raw`, format: 'raw', sizeMib: 2, dataMib: 0 },
    ], { start: style !== 'cold' });
    return { style, vm, diskId: vm.disks[0]?.id ?? '' };
  }));
  await setLab(stack, { vmsBelow47: made.filter(({ style }) => style !== 'hybrid').map(({ vm }) => vm.id) });
  await Promise.all(made.map(async ({ vm }) => (await transferBackup(stack, vm, { kind: 'full' })).result()));
  return (style) => {
    const lane = made.find((each) => each.style === style);
    if (!lane) throw new Error(`no lane was made for a ${style} VM backup`);
    return lane;
  };
}

export interface Trouble {
  readonly faults: (lane: Lane) => readonly LabFault[];
  /** When the lab is told: before the run, or one after the other while the tracked disk is copied. */
  readonly when?: 'before' | 'copying';
  /** The guest writes nothing after the moment: the run may come to need another one. */
  readonly isQuiet?: boolean;
  /** Instead of a fault of the lab's, or beside them: while nothing is copied yet, */
  readonly also?: () => Promise<unknown>;
  /** or while the tracked disk is copied, which takes its time. */
  readonly whileCopying?: () => Promise<unknown>;
}

const slowly = 262_144;

/** A backup after a change, in trouble; the lab has to say that every fault fired. */
export async function backUpInTrouble(stack: Stack, lane: Lane, trouble: Trouble): Promise<Point> {
  const { faults, when = 'before', isQuiet = false, also, whileCopying } = trouble;
  const isSlow = when === 'copying' || whileCopying !== undefined;
  await change(stack, lane.vm, { blocks: isSlow ? 24 : 3 });
  const injected = await LabFaults.inject(stack, when === 'before' ? faults(lane) : []);
  try {
    const handle = await heldBackup(stack, lane.vm, isSlow ? { bandwidthBytesPerSecond: slowly } : {});
    const moment = await momentOf(stack, lane.vm);
    if (!isQuiet && lane.style !== 'cold') await change(stack, lane.vm);
    await also?.();
    await handle.resume();
    if (when === 'copying') for (const fault of faults(lane)) await strikeWhileCopying(lane, handle, () => injected.add(fault));
    if (whileCopying) {
      await untilCopying(lane, handle);
      await whileCopying();
    }
    return { output: await handle.result(), moment };
  } finally {
    await injected.release();
    expect(injected.unfired()).toEqual([]);
  }
}

const untilCopying = ({ diskId }: Lane, handle: BackupHandle): Promise<unknown> => untilProgress(handle, 'the tracked disk is copied', ({ disks }) => disks.some((disk) => disk.diskId === diskId && disk.state === 'copying'), 60_000, 100);

async function strikeWhileCopying(lane: Lane, handle: BackupHandle, strike: () => Promise<void>): Promise<void> {
  await untilCopying(lane, handle);
  await strike();
  await untilProgress(handle, 'the run has noticed', ({ disks }) => disks.some((disk) => disk.diskId === lane.diskId && disk.state !== 'copying'), 60_000, 50);
}

/** Sealed in the lane's style, and what it had to hold. */
export async function expectSealed(stack: Stack, { style }: Lane, { output, moment }: { readonly output: Point['output']; readonly moment: Moment }): Promise<TransferManifest> {
  expect(output.leftovers).toEqual([]);
  const manifest = await transferManifest(stack, output.backup);
  expect(manifest.vmBackup?.style).toBe(style);
  await expectImages(stack, output.backup, moment);
  return manifest;
}

/** After a change; restored too when asked. */
export async function nextIsRight(stack: Stack, lane: Lane, { restore = false } = {}): Promise<TransferManifest> {
  await change(stack, lane.vm);
  const point = await backUpAt(stack, lane.vm);
  expect(point.output.warnings).toEqual([]);
  const manifest = await expectSealed(stack, lane, point);
  if (restore) await expectRestores(stack, `after-${lane.style}`, [point], ['transfer']);
  return manifest;
}
