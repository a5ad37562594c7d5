// What the engine's user may not do that a run needs, as the engine tells it: asked while planning, before anything is made.
import { HoldfastError, type FailureCode } from '../domain/failures';
import { lackingRights, type NeededRight, type Places } from '../domain/plan/permits';
import type { Reason } from '../domain/plan/reasons';
import type { ControlDependencies } from './dependencies';

type PermittingEngine = ReturnType<ControlDependencies['engineOf']>;
const untold: readonly FailureCode[] = ['engine.forbidden', 'engine.not-found', 'engine.protocol'];

/** What the engine does not tell about its user is no reason to refuse: then the engine itself refuses what is not allowed. */
export async function permitReasons(engine: PermittingEngine, rightsAt: (places: Places) => readonly NeededRight[]): Promise<readonly Reason[]> {
  let held: Awaited<ReturnType<PermittingEngine['ownPermissions']>>;
  try {
    held = await engine.ownPermissions();
  } catch (error) {
    if (error instanceof HoldfastError && untold.includes(error.code)) return [];
    throw error;
  }
  const nowhere: Places = { dataCenterOf: () => undefined };
  const lacking = lackingRights(engine.name, held, rightsAt(nowhere));
  if (lacking.length === 0) return [];
  const clusters = await engine.listClusters();
  return lackingRights(engine.name, held, rightsAt({ dataCenterOf: (clusterId) => clusters.find(({ id }) => id === clusterId)?.dataCenterId }));
}
