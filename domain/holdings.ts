// A holding: one object that a run creates or locks in the engine, written to the catalog BEFORE the step that acquires it.
// What is still `held` when its run has ended is a leftover.
import { z } from 'zod';
import { uuidSchema } from './ids';

/**
 * `vm-backup`: the backup that the engine makes. `checkpoint`: what it began with, once the engine has told; a product when the backup is sealed.
 * `replaced-vm`: a VM that a restore takes away, to be put back unless the new one stands; its configuration lies in the repository.
 * `replaced-disk`: a disk of it, to be removed once the new VM stands and not before.
 * `freeze`: a guest whose file systems Holdfast has asked the engine to freeze; one holding for each request.
 */
export const holdingKinds = ['snapshot', 'attachment', 'vm-backup', 'transfer', 'checkpoint', 'disk', 'vm', 'replaced-vm', 'replaced-disk', 'freeze'] as const;
export type HoldingKind = (typeof holdingKinds)[number];

export const holdingSchema = z.object({
  holdingId: z.string(),
  runId: uuidSchema,
  engine: z.string(),
  kind: z.enum(holdingKinds),
  /** The VM whose lock protects it: the one that is backed up, restored as the original, or replaced. Absent for a restore as a new VM. */
  vmId: uuidSchema.optional(),
  /** snapshot: snapshot id once known · vm-backup, transfer: its id once known · attachment, disk, replaced-disk: disk id · vm, replaced-vm: VM id · freeze: VM id once the guest has said that it is frozen. */
  objectId: uuidSchema.optional(),
  /** attachment: the VM it is attached to; snapshot: its VM. */
  parentId: uuidSchema.optional(),
  /** attachment of a snapshot's disk: the snapshot. */
  snapshotId: uuidSchema.optional(),
  /** Description, comment or key by which the object is found again after a lost reply. */
  mark: z.string(),
  state: z.enum(['held', 'released', 'product', 'leftover']),
});
export type Holding = z.infer<typeof holdingSchema>;

/** What a result or an alert says about an object that could not be released. */
export const leftoverSchema = z.object({
  kind: z.enum([...holdingKinds, 'partial-backup']),
  objectId: z.string().optional(),
  mark: z.string(),
  reason: z.string(),
});
export type Leftover = z.infer<typeof leftoverSchema>;

/**
 * What an earlier run on a VM left, as the next one finds it. `committed`: its restored VM stands for good, so what it replaced is to be
 * removed and not put back. `repository`: where it saved what it replaced.
 */
export interface EarlierHolding extends Holding {
  readonly committed: boolean;
  readonly repository?: string | undefined;
}

/** Deterministic, so that a repeated activity attempt writes the same row. */
export function holdingId(runId: string, kind: HoldingKind, key: string): string {
  return `${runId}/${kind}/${key}`;
}
