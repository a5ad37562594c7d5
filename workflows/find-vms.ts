// findVms: turns names and oVirt searches into ids, so that clients need no credentials of the engine.
import { findVmsInputSchema, type FindVmsOutput, type FindVmsRequest } from '../domain/flows/queries';
import { answered, parseInput } from './failures';
import { opening } from './proxies';

export async function findVms(request: FindVmsRequest): Promise<FindVmsOutput> {
  return answered(opening.findVmsOnEngine(parseInput(findVmsInputSchema, request)));
}
