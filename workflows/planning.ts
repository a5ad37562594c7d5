// Planning asks several workers: a queue that nobody serves is one more reason to refuse, not the end of planning.
import { reason, type Reason } from '../domain/plan/reasons';
import { nobodyServes } from './failures';

export async function asked(question: () => Promise<readonly Reason[]>, unserved: Reason): Promise<readonly Reason[]> {
  try {
    return await question();
  } catch (error) {
    if (nobodyServes(error)) return [unserved];
    throw error;
  }
}

export function noApplianceWorker(engine: string, applianceId: string): Reason {
  return reason('appliance.no-worker', applianceId, `No worker runs in the appliance ${applianceId} of engine ${engine}. Start one there with role "appliance".`);
}

export function noMoverWorker(repository: string): Reason {
  return reason('repository.no-worker', repository, `No worker serves repository ${repository}. Start one with role "mover" that sees it, or correct the name.`);
}
