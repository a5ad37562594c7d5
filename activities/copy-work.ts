// What copies share, wherever the other side of the data is: an appliance's device or an image transfer. Heartbeats carry liveness and figures;
// what a new attempt goes on from is the durable position, never a heartbeat that lags.
import type { Context } from '@temporalio/activity';
import { z } from 'zod';
import { copyBlocks, digestBlocks, type BlockReader, type BlockWriter, type CopyFigures, type DigestSource, type Since, type Transport } from '../adapters/blocks';
import type { PartialImage, Repository, WriterIdentity } from '../adapters/repository/port';
import { HoldfastError } from '../domain/failures';
import { CopyReporter } from './copy-reporter';
import type { ImageOfRun, RestorePosition, TargetOfRun } from './of-run';

export interface CopyWork {
  readonly context: Context;
  readonly store: Repository;
  readonly heartbeatMs: number;
}

/** Into the image in the repository. `open` begins to read the source; `changesOf`: where the image lies on another one, what changed since. */
export async function copyToImage<Source extends BlockReader>(
  { context, store, heartbeatMs }: CopyWork,
  input: ImageOfRun,
  identity: Omit<WriterIdentity, 'owner'>,
  open: () => Promise<Source>,
  changesOf?: (source: Source) => Since['changes'],
): Promise<{ readonly dataBytes: number; readonly transport: Transport }> {
  const image = await store.openPartialImage(refOf(input), input.diskId, input.virtualBytes, { owner: attemptOf(context), ...identity });
  const reporter = new CopyReporter(context, input.diskId, image.dataBytes, heartbeatMs, () => image.renewLease());
  try {
    const reader = await open();
    try {
      const done = await reporter.during((signal) =>
        copyBlocks({
          reader,
          writer: image.writer,
          sink: image.sink,
          ...sinceOf(image, changesOf?.(reader)),
          fromBytes: image.positionBytes,
          dataBytesBefore: image.dataBytes,
          onDurable: (figures) => image.recordDurable(figures.positionBytes, figures.dataBytes),
          onProgress: (figures) => reporter.note(figures),
          ...bandwidthOf(input),
          signal,
        }),
      );
      reporter.note(done);
      return { dataBytes: done.dataBytes, transport: reader.transport };
    } finally {
      await reader.close();
    }
  } finally {
    await image.close();
  }
}

function sinceOf({ base }: PartialImage, changes: Since['changes'] | undefined): { since?: Since } {
  return base === undefined || changes === undefined ? {} : { since: { ...base, changes } };
}

/** From the sealed image into a disk that this run made, each block checked before it is written. */
export async function copyFromImage(
  { context, store, heartbeatMs }: CopyWork,
  input: TargetOfRun & { readonly heldDiskIds: readonly string[]; readonly from: RestorePosition },
  open: () => Promise<BlockWriter>,
): Promise<{ readonly dataBytes: number }> {
  if (!input.heldDiskIds.includes(input.targetDiskId)) throw new HoldfastError('device.foreign', `Disk ${input.targetDiskId} is not among the disks that this run created, so nothing is written to it.`, { diskId: input.targetDiskId });
  const expected = await store.openDigests(refOf(input), input.diskId);
  const progress = new ReadProgress(context, 'restored', input.from);
  const reporter = new CopyReporter(context, input.diskId, progress.from.dataBytes, heartbeatMs, () => Promise.resolve(), () => progress.details());
  const reader = await store.openImage(refOf(input), input.diskId);
  try {
    const writer = await open();
    try {
      const done = await reporter.during((signal) =>
        copyBlocks({
          reader,
          writer,
          expected,
          fromBytes: progress.from.positionBytes,
          dataBytesBefore: progress.from.dataBytes,
          onDurable: (figures) => {
            progress.reached(figures);
            return Promise.resolve();
          },
          onProgress: (figures) => reporter.note(figures),
          ...bandwidthOf(input),
          signal,
        }),
      );
      reporter.note(done);
      return { dataBytes: done.dataBytes };
    } finally {
      await writer.close();
    }
  } finally {
    await reader.close();
  }
}

/** Reads all of a disk and compares every block's digest. `from`: what an earlier attempt has found right. */
export async function proveBlocks(
  { context, heartbeatMs }: Omit<CopyWork, 'store'>,
  input: ImageOfRun & { readonly from?: RestorePosition },
  expected: DigestSource,
  open: () => Promise<BlockReader>,
): Promise<{ readonly root: string; readonly dataBytes: number }> {
  const progress = new ReadProgress(context, 'verified', input.from ?? { positionBytes: 0, dataBytes: 0 });
  const { positionBytes: fromBytes, dataBytes: dataBytesBefore } = input.from === undefined ? { positionBytes: 0, dataBytes: 0 } : progress.from;
  const reporter = new CopyReporter(context, input.diskId, dataBytesBefore, heartbeatMs, () => Promise.resolve(), () => (input.from === undefined ? {} : progress.details()));
  const reader = await open();
  try {
    const note = (figures: CopyFigures): void => {
      progress.reached(figures);
      reporter.note(figures);
    };
    return await reporter.during((signal) => digestBlocks(reader, { expected, fromBytes, dataBytesBefore, signal, onProgress: note, ...bandwidthOf(input) }));
  } finally {
    await reader.close();
  }
}

/** A position that travels with heartbeats may lag: what lies below it is done, what lies above it is done again. */
class ReadProgress {
  readonly from: RestorePosition;
  private at: RestorePosition;

  constructor(context: Context, private readonly key: 'restored' | 'verified', from: RestorePosition) {
    const parsed = z.object({ [key]: z.object({ positionBytes: z.number(), dataBytes: z.number() }) }).safeParse(context.info.heartbeatDetails);
    const told = parsed.success ? parsed.data[key] : undefined;
    this.from = told !== undefined && told.positionBytes > from.positionBytes ? told : from;
    this.at = this.from;
  }

  reached({ positionBytes, dataBytes }: RestorePosition): void {
    this.at = { positionBytes, dataBytes };
  }

  details(): object {
    return { [this.key]: this.at };
  }
}

export function refOf({ vmId, backupId }: ImageOfRun): { readonly vmId: string; readonly backupId: string } {
  return { vmId, backupId };
}

function attemptOf(context: Context): string {
  const { workflowExecution, activityId, attempt } = context.info;
  return `${workflowExecution?.workflowId ?? 'no workflow'} ${workflowExecution?.runId ?? ''} activity ${activityId} attempt ${attempt}`;
}

function bandwidthOf({ bandwidthBytesPerSecond }: ImageOfRun): { bytesPerSecond?: number } {
  return bandwidthBytesPerSecond === undefined ? {} : { bytesPerSecond: bandwidthBytesPerSecond };
}
