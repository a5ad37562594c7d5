// A reason why a run may not start: a stable code, the object, and a sentence with the remedy. Planning collects all of them before it
// refuses, so that an operator mends everything in one go.
import { z } from 'zod';

export const reasonCodes = [
  'vm.unknown', 'vm.status', 'vm.preview', 'vm.snapshot-busy', 'vm.backup-busy', 'vm.no-disks', 'vm.exists', 'vm.snapshots', 'vm.pool', 'vm.delete-protected',
  'disk.unknown', 'disk.locked', 'disk.illegal', 'disk.shared', 'disk.lun', 'disk.unsupported', 'disk.inactive',
  'appliance.unset', 'appliance.unknown', 'appliance.down', 'appliance.is-the-vm', 'appliance.preview', 'appliance.busy', 'appliance.no-worker', 'appliance.repository', 'appliance.devices', 'appliance.other',
  'repository.not-writable', 'repository.full', 'repository.unknown', 'repository.no-worker',
  'backup.other-vm', 'backup.chain', 'name.taken', 'cluster.unknown', 'domain.unknown', 'domain.inactive', 'domain.backup', 'domain.full', 'domain.other-center', 'domain.unused',
  'network.unknown', 'network.ambiguous', 'network.unused', 'nic.unknown', 'mac.taken', 'mac.twice',
  'quiesce.impossible', 'kind.impossible', 'engine.permit',
] as const;
export type ReasonCode = (typeof reasonCodes)[number];

export const reasonSchema = z.object({ code: z.enum(reasonCodes), object: z.string(), text: z.string() });
export type Reason = z.infer<typeof reasonSchema>;

export function reason(code: ReasonCode, object: string, text: string): Reason {
  return { code, object, text };
}

/** What follows from another reason by itself: mended with it, and no help to whoever reads the list. */
const follows: Partial<Record<ReasonCode, readonly ReasonCode[]>> = {
  'appliance.down': ['appliance.devices', 'appliance.no-worker'],
  'appliance.unknown': ['appliance.devices', 'appliance.no-worker'],
};

export function rootCauses(reasons: readonly Reason[]): readonly Reason[] {
  const explained = new Set(reasons.flatMap(({ code }) => follows[code] ?? []));
  return reasons.filter(({ code }) => !explained.has(code));
}

/** The sentence of a refusal, one line per reason. */
export function refusalText(what: string, reasons: readonly Reason[]): string {
  const count = reasons.length === 1 ? 'one reason' : `${reasons.length} reasons`;
  return `${what} was refused before anything was created, for ${count}:\n${reasons.map((each) => `- ${each.text} [${each.code}]`).join('\n')}`;
}
