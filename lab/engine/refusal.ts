// One row of the engine's refusals (refusals.ts), and sentences that several rows end with.
export interface Refusal {
  readonly operation: string;
  readonly condition: string;
  readonly http: 400 | 403 | 409 | 500;
  readonly text: string;
  readonly source: string;
  /** `[Internal Engine Error]` and the plain texts come with another reason or without brackets. */
  readonly plain?: true;
}

export const disksLocked = ': The following disks are locked: {disks}. Please try again in a few minutes.';
export const duringBackup = 'The VM is during a backup operation.';
export const duringSnapshot = 'The VM is performing an operation on a Snapshot. Please wait for the operation to finish, and try again.';
