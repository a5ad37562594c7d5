// No activity: every control worker looks every few seconds whether a guest that Holdfast has asked to freeze is overdue, and thaws it, whoever's
// it is. So that a guest does not stand still because its run was terminated, or Temporal is away, or its agent woke up an hour late.
import type { Catalog } from '../adapters/catalog/port';
import type { Engine } from '../adapters/ovirt/port';
import { frozenAtMostMs } from '../domain/consistency';
import { leftoverKey } from './runs';
import { freezeLimits, thaw } from './thaw';

/** The owner thaws after eight seconds. */
const overdueSeconds = frozenAtMostMs / 1000 + 1;
/** One question: the next look asks again. */
const askMs = 0;

export interface Forgotten {
  readonly catalog: Pick<Catalog, 'listOpenHoldings' | 'releaseHolding' | 'clearAlert'>;
  /** Undefined: not this worker's. */
  readonly engineOf: (name: string) => Engine | undefined;
  /** Whether a VM's guest is to be asked now: one that is mute is asked less and less often. */
  readonly isDue?: (vmId: string) => boolean;
}

/** The VMs that were thawed, and those whose agent is mute. */
export async function thawForgotten({ catalog, engineOf, isDue = () => true }: Forgotten): Promise<{ readonly thawed: readonly string[]; readonly mute: readonly string[] }> {
  const thawed: string[] = [];
  const mute: string[] = [];
  for (const { holdingId, runId, engine: name, vmId, kind, mark, ageSeconds } of await catalog.listOpenHoldings({ kind: 'freeze', page: { limit: 100, offset: 0 } })) {
    const engine = engineOf(name);
    if (!engine || vmId === undefined || ageSeconds < overdueSeconds || !isDue(vmId)) continue;
    const end = await thaw({ engine, limits: freezeLimits }, vmId, askMs).catch(() => 'mute');
    (end === 'mute' ? mute : thawed).push(vmId);
    if (end === 'mute') continue;
    await catalog.releaseHolding(holdingId, 'released');
    await catalog.clearAlert(leftoverKey(runId, kind, mark));
  }
  return { thawed, mute };
}
