// Why a backup is of its kind: a stable code and a sentence, for the manifest, the result, and whoever asks why last night's backup was so large.

export const chainReasonCodes = [
  /** Why a backup continues a chain. */
  'chain.continued',
  /** Why it begins one. */
  'kind.asked', 'chain.first', 'chain.too-long', 'chain.full-due', 'chain.no-tracking', 'chain.nothing-tracked',
  'base.not-sealed', 'base.incomplete', 'base.damaged', 'base.failing', 'base.contradicted', 'base.expired', 'base.no-checkpoint',
  'checkpoint.missing', 'checkpoint.wiped', 'checkpoint.foreign', 'checkpoint.invalid', 'checkpoint.broken-line', 'checkpoint.refused', 'checkpoint.unusable', 'snapshot.restored',
  /** Why one disk is read in full within an incremental backup. */
  'disk.no-tracking', 'disk.added', 'disk.resized', 'disk.wiped', 'disk.not-in-checkpoint', 'disk.engine-full',
  /** Worth knowing; nothing depends on it. */
  'disk.removed', 'checkpoint.others-between',
] as const;
export type ChainReasonCode = (typeof chainReasonCodes)[number];

export interface ChainReason {
  readonly code: ChainReasonCode;
  readonly text: string;
}

export function because(code: ChainReasonCode, text: string): ChainReason {
  return { code, text };
}

const dayMs = 86_400_000;
const hourMs = 3_600_000;

/** A clock that is behind the engine's does not make things happen in the future. */
export function ageText(age: number): string {
  const ageMs = Math.max(0, age);
  return ageMs >= 2 * dayMs ? `${Math.floor(ageMs / dayMs)} days` : `${Math.floor(ageMs / hourMs)} hours`;
}
