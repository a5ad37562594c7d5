// Which run a call belongs to, and which image of it. Every activity's input says it, so that every log line about the call does too (worker/logging).
export interface OfRun {
  readonly runId: string;
  readonly engine: string;
}

export interface ImageOfRun extends OfRun {
  readonly repository: string;
  readonly vmId: string;
  readonly backupId: string;
  /** The disk in the backup. */
  readonly diskId: string;
  readonly virtualBytes: number;
  readonly bandwidthBytesPerSecond?: number | undefined;
}

export interface TargetOfRun extends ImageOfRun {
  readonly targetDiskId: string;
}

/** Everything below is durable in the target. */
export interface RestorePosition {
  readonly positionBytes: number;
  readonly dataBytes: number;
}
