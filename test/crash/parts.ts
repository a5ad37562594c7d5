// Kills of what all runs share: Temporal, PostgreSQL, the lab's engine. The runs side by side are each held at the beginning of one step, let go
// so that all are in the middle of it, and then the part gets SIGKILL and is started again on the same data.
import { setTimeout as sleep } from 'node:timers/promises';
import type { FailureCode } from '../../domain/failures';
import { until } from '../e2e/support/vms';
import type { CellPlan } from './cell';
import type { Lane } from './lane';
import { plainShapes, type Shape } from './shapes';
import { plainTransferShapes } from './shapes-transfer';
import { doneAtMs } from './steps';
import type { Harness } from './harness';

export const parts = ['temporal', 'postgres', 'lab'] as const;
type PartToKill = (typeof parts)[number];

export interface Point {
  readonly name: string;
  readonly shape: Shape;
  readonly activityType: string;
  /** The step is under way for so long when the part dies. */
  readonly leadMs: number;
  readonly bandwidthBytesPerSecond?: number;
  /** The engine fails a VM backup that it had not begun at its host when it died: nobody monitors it any more (engine-rules.md section 5, event 10814). */
  readonly mayFailWith?: { readonly part: PartToKill; readonly code: FailureCode };
}

const [backup, restore] = plainShapes;
const [transferBackup, transferRestore, verification] = plainTransferShapes;
const slow = { leadMs: 900, bandwidthBytesPerSecond: 2 * 1024 * 1024 };
export const points: readonly Point[] = [
  { name: 'the wait for the snapshot', shape: backup, activityType: 'ensureSnapshot', leadMs: 80 },
  { name: 'the copy', shape: backup, activityType: 'backupDisk', ...slow },
  { name: 'the seal', shape: backup, activityType: 'sealBackup', leadMs: 25 },
  { name: 'the removal of the snapshot', shape: backup, activityType: 'ensureSnapshotGone', leadMs: 80 },
  { name: 'the restore\'s copy', shape: restore, activityType: 'restoreDisk', ...slow },
  { name: 'the creation of the VM', shape: restore, activityType: 'createVmFromBackup', leadMs: 25 },
  { name: 'the wait for the VM backup', shape: transferBackup, activityType: 'ensureVmBackup', leadMs: 80, mayFailWith: { part: 'lab', code: 'backup.failed' } },
  { name: 'the beginning of the transfer', shape: transferBackup, activityType: 'ensureTransfer', leadMs: 60 },
  { name: 'the copy', shape: transferBackup, activityType: 'backupDiskByTransfer', ...slow },
  { name: 'the end of the transfer', shape: transferBackup, activityType: 'ensureTransferEnded', leadMs: 40 },
  { name: 'the end of the VM backup', shape: transferBackup, activityType: 'ensureVmBackupEnded', leadMs: 100 },
  { name: 'the upload', shape: transferRestore, activityType: 'restoreDiskByTransfer', ...slow },
  { name: 'the end of the upload', shape: transferRestore, activityType: 'ensureTransferEnded', leadMs: 40 },
  { name: 'the reading', shape: verification, activityType: 'verifyDisk', ...slow },
];

const downMs = 1_000;
const arriveLimitMs = 90_000;
const missed = 'the step was over when the part died';
const triesForTheMiddle = 3;

/** Everybody arrives, everybody is let go, the part dies once. */
class Rendezvous {
  killedAtMs = Infinity;
  private readonly arrived: { readonly lane: Lane; readonly leadMs: number }[] = [];
  private going: Promise<string> | undefined;
  private readonly latest: Promise<string>;

  constructor(
    private readonly harness: Harness,
    private readonly part: PartToKill,
    private readonly expected: number,
  ) {
    // One run that never comes must not keep the others for ever.
    this.latest = sleep(arriveLimitMs, undefined, { ref: false }).then(() => this.go());
  }

  arrive(lane: Lane, leadMs: number): Promise<string> {
    this.arrived.push({ lane, leadMs });
    return this.arrived.length === this.expected ? this.go() : Promise.race([this.latest, until('all runs are at their steps', () => Promise.resolve(this.going), arriveLimitMs)]);
  }

  private go(): Promise<string> {
    this.going ??= this.strike();
    return this.going;
  }

  private async strike(): Promise<string> {
    const part = this.harness.stack.parts.part(this.part);
    const longestMs = Math.max(...this.arrived.map(({ leadMs }) => leadMs));
    await Promise.all(this.arrived.map(async ({ lane, leadMs }) => {
      await sleep(longestMs - leadMs);
      await lane.letGo();
      await sleep(leadMs);
    }));
    this.killedAtMs = Date.now();
    await part.crash('SIGKILL');
    if (part.isRunning) throw new Error(`${this.part} lives after SIGKILL`);
    await sleep(downMs);
    await part.start();
    return `${this.part}: SIGKILL, back after ${((Date.now() - this.killedAtMs) / 1000).toFixed(1)} s`;
  }
}

export function cellName(part: PartToKill, { shape, name }: Point): string {
  return `${shape.name}: ${part} killed during ${name}`;
}

function cellsFor(harness: Harness, part: PartToKill, wanted: readonly Point[], haste: number): readonly CellPlan[] {
  const rendezvous = new Rendezvous(harness, part, wanted.length);
  return wanted.map((point): CellPlan => {
    return {
      name: cellName(part, point),
      shape: point.shape,
      fault: { hold: { activityType: point.activityType } },
      ...(point.mayFailWith?.part === part ? { mayFail: point.mayFailWith.code } : {}),
      ...(point.bandwidthBytesPerSecond === undefined ? {} : { bandwidthBytesPerSecond: point.bandwidthBytesPerSecond }),
      disturb: async (lane) => {
        await until(`the run is at ${point.activityType}`, async () => (await lane.held()) !== undefined, arriveLimitMs);
        return rendezvous.arrive(lane, point.leadMs / haste);
      },
      alsoJudge: async (lane, { workflowId }) => ((await doneAtMs(lane.client, workflowId, point.activityType)) > rendezvous.killedAtMs ? [] : [missed]),
    };
  });
}

/** All points for one part, a lane each. A step that was over too early (and nothing else was wrong) is met again, earlier. */
export async function killPart(harness: Harness, part: PartToKill, wanted: readonly Point[], lanes = harness.lanes, changed: (plan: CellPlan) => CellPlan = (plan) => plan): Promise<void> {
  for (let at = 0; at < wanted.length; at += lanes.length) {
    let points = wanted.slice(at, at + lanes.length);
    for (let haste = 1; points.length > 0; haste *= 4) {
      const results = await harness.run(cellsFor(harness, part, points, haste).map(changed), lanes);
      const again = haste < 4 ** (triesForTheMiddle - 1) ? results.filter(({ problems }) => problems.length === 1 && problems[0] === missed) : [];
      points = points.filter((_, index) => again.some((result) => result === results[index]));
      harness.takeBack(again);
    }
  }
}
