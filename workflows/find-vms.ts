// findVms: turns names and oVirt searches into ids, so that clients need no credentials of the engine.
import { findVmsInputSchema, type FindVmsOutput, type FindVmsRequest } from '../domain/flows/queries';
import { parseInput } from './failures';
import { opening } from './proxies';

export async function findVms(request: FindVmsRequest): Promise<FindVmsOutput> {
  return opening.findVmsOnEngine(parseInput(findVmsInputSchema, request));
}
