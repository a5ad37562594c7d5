// When does the host bear witness that a backup is what the engine has? Digests of an incremental backup prove the repository, not the
// engine's bitmap; only a checksum taken beside the source does, and it reads the whole disk.
import { z } from 'zod';

export const witnessPolicySchema = z.union([z.enum(['never', 'always']), z.strictObject({ every: z.number().int().min(1) })]);
export type WitnessPolicy = z.infer<typeof witnessPolicySchema>;

export const defaultWitness: WitnessPolicy = { every: 7 };

/** `witnessed`: of the earlier backups of the VM in this repository, newest first. The first one ever counts as one of N, too. */
export function witnessDue(policy: WitnessPolicy, witnessed: readonly boolean[]): boolean {
  if (typeof policy === 'string') return policy === 'always';
  const last = witnessed.indexOf(true);
  return (last < 0 ? witnessed.length : last) + 1 >= policy.every;
}
