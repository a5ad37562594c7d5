// Planning asks several workers: a queue that nobody serves is one more reason to refuse, not the end of planning.
import type { ApplianceAnswer } from '../domain/choose-method';
import { reason, type Reason } from '../domain/plan/reasons';
import { nobodyServes } from './failures';
import type { Proxies } from './proxies';

export async function asked(question: () => Promise<readonly Reason[]>, unserved: Reason): Promise<readonly Reason[]> {
  try {
    return await question();
  } catch (error) {
    if (nobodyServes(error)) return [unserved];
    throw error;
  }
}

/** Undefined when nobody serves the queue. */
export async function ifServed<T>(question: () => Promise<T>): Promise<{ readonly answer: T } | undefined> {
  try {
    return { answer: await question() };
  } catch (error) {
    if (nobodyServes(error)) return undefined;
    throw error;
  }
}

/** Does a worker answer in the appliance? What it has to say is asked again when it is planned with. */
export async function applianceAnswer(proxies: Proxies, { engine, runId, repository, applianceId }: { readonly engine: string; readonly runId: string; readonly repository: string; readonly applianceId: string }): Promise<ApplianceAnswer | undefined> {
  if (applianceId === '') return undefined;
  const served = await ifServed(() => proxies.applianceQuick(engine, applianceId).checkAppliance({ engine, runId, repository }));
  return { applianceId, isServed: served !== undefined };
}

export function noApplianceWorker(engine: string, applianceId: string): Reason {
  return reason('appliance.no-worker', applianceId, `No worker runs in the appliance ${applianceId} of engine ${engine}. Start one there with role "appliance".`);
}

export function noMoverWorker(repository: string): Reason {
  return reason('repository.no-worker', repository, `No worker serves repository ${repository}. Start one with role "mover" that sees it, or correct the name.`);
}
