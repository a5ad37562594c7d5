// runDoctor: asks every worker side by side what it sees, and whether it answers at all. Changes nothing; what is wrong is a check in the
// answer, never a failure of the flow.
import type { ActivityInterfaceFor } from '@temporalio/workflow';
import type { QueueActivities } from '../activities/doctor';
import { check, countVerdicts, ok, problem, skipRest, warning, type Check, type CheckGroup, type CheckId } from '../domain/doctor/checks';
import { objectNames } from '../domain/doctor/objects';
import { runDoctorInputSchema, type InstalledEngine, type Installation, type RunDoctorInput, type RunDoctorOutput, type RunDoctorRequest } from '../domain/flows/doctor';
import { taskQueues } from '../domain/ids';
import { answered, fail, failureText, nobodyServes, parseInput, wasCancelled } from './failures';
import { doctorProxies, type DoctorProxies } from './proxies';

export async function runDoctor(request: RunDoctorRequest): Promise<RunDoctorOutput> {
  const input = parseInput(runDoctorInputSchema, request);
  return answered(examineAll(input, doctorProxies(input.answerSeconds)));
}

interface Visit {
  readonly input: RunDoctorInput;
  readonly workers: DoctorProxies;
}

async function examineAll(input: RunDoctorInput, workers: DoctorProxies): Promise<RunDoctorOutput> {
  const visit: Visit = { input, workers };
  const installation = chosen(await workers.control.describeInstallation(), input);
  const appliances = installation.engines.flatMap(({ name, applianceIds }) => applianceIds.map((vmId) => ({ engine: name, vmId })));
  const movers = Promise.all(installation.repositories.map((repository) => examineMover(visit, repository, installation.engines)));
  // Compared with the movers' repositories, so after them; all else is side by side.
  const repositoryIds = movers.then((found) => Object.fromEntries(found.flatMap(({ repository, repositoryId }) => (repositoryId === undefined ? [] : [[repository, repositoryId]]))));
  const found = await Promise.all([
    examineControl(visit),
    ...installation.engines.map(({ name }) => examineEngine(visit, name)),
    movers.then((each) => each.flatMap(({ checks }) => checks)),
    ...appliances.map((each) => examineAppliance(visit, each.engine, each.vmId, repositoryIds)),
  ]);
  const checks = [...found.flat(), ...unknownRepositories(installation)];
  return { checks, count: countVerdicts(checks) };
}

function chosen({ engines, repositories }: Installation, { engine, repository }: RunDoctorInput): Installation {
  if (engine !== undefined && !engines.some(({ name }) => name === engine)) {
    throw fail('input.invalid', `The control worker's configuration has no engine "${engine}". It has: ${engines.map(({ name }) => name).join(', ') || 'none'}.`);
  }
  // A repository need not be in the control worker's configuration: its mover answers, or nobody does.
  return { engines: engines.filter(({ name }) => engine === undefined || name === engine), repositories: repository === undefined ? repositories : [repository] };
}

function unknownRepositories({ repositories }: Installation): readonly Check[] {
  return repositories.length > 0 ? [] : [check('queue.mover', 'repositories', warning('the control worker\'s configuration and the catalog name no repository', 'Name one: holdfast doctor --repository <name>'))];
}

async function examineControl({ input, workers }: Visit): Promise<readonly Check[]> {
  return visited(workers.queue(taskQueues.control), 'queue.control', 'control', objectNames.control, () => (input.scope === 'queues' ? Promise.resolve([]) : workers.control.examineControl()), input.answerSeconds);
}

async function examineEngine({ input, workers }: Visit, engine: string): Promise<readonly Check[]> {
  if (input.scope === 'queues') return [];
  return looked('engine', objectNames.engine(engine), () => workers.control.examineEngine({ engine }));
}

async function examineMover({ input, workers }: Visit, repository: string, engines: readonly InstalledEngine[]): Promise<{ readonly repository: string; readonly checks: readonly Check[]; readonly repositoryId?: string }> {
  let repositoryId: string | undefined;
  const look = async (): Promise<readonly Check[]> => {
    if (input.scope === 'queues') return [];
    const found = await workers.mover(repository).examineMover({ repository, engines });
    repositoryId = found.repositoryId;
    return found.checks;
  };
  const checks = await visited(workers.queue(taskQueues.moverQuick(repository)), 'queue.mover', 'mover', objectNames.repository(repository), look, input.answerSeconds);
  return { repository, checks, ...(repositoryId === undefined ? {} : { repositoryId }) };
}

async function examineAppliance({ input, workers }: Visit, engine: string, vmId: string, repositoryIds: Promise<Readonly<Record<string, string>>>): Promise<readonly Check[]> {
  const object = objectNames.appliance(engine, vmId);
  const everything = input.scope === 'all';
  const [vm, quick, copies] = await Promise.all([
    everything ? looked('appliance-vm', object, () => workers.control.examineApplianceVm({ engine, vmId })) : [],
    visited(workers.queue(taskQueues.applianceQuick(engine, vmId)), 'queue.appliance', 'appliance', object,
      async () => (everything ? workers.appliance(engine, vmId).examineAppliance({ engine, vmId, repositoryIds: await repositoryIds }) : []), input.answerSeconds),
    visited(workers.queue(taskQueues.applianceCopies(engine, vmId)), 'queue.copies', 'copies', object, () => Promise.resolve([]), input.answerSeconds),
  ]);
  const isServed = quick.some(({ id, verdict }) => id === 'queue.appliance' && verdict === 'ok');
  return [...vm, ...quick, ...copies.map((each) => (isServed && each.verdict === 'problem' ? busyOrUnserved(object, input) : each))];
}

/** The appliance's worker lives, so its copies queue is most likely served too, with every slot taken by a copy that may last hours. */
function busyOrUnserved(object: string, { answerSeconds }: RunDoctorInput): Check {
  return check('queue.copies', object, warning(`no free slot within ${answerSeconds} s: every one is taken by a copy (holdfast status shows them), or the worker does not serve the queue`));
}

/** First whether anybody answers on the queue, then what they see; without an answer the group's checks are skipped. */
async function visited(queue: ActivityInterfaceFor<QueueActivities>, id: CheckId, group: CheckGroup, object: string, look: () => Promise<readonly Check[]>, answerSeconds: number): Promise<readonly Check[]> {
  let served: Check;
  try {
    served = check(id, object, ok((await queue.answerQueue()).worker));
  } catch (error) {
    if (wasCancelled(error)) throw error;
    const unserved = check(id, object, problem(nobodyServes(error) ? `no worker picked up a question within ${answerSeconds} s` : `the worker cannot answer: ${failureText(error)}`));
    return [unserved, ...skipRest(group, object, 'no worker answers', [unserved])];
  }
  return [served, ...(await looked(group, object, look, [served]))];
}

async function looked(group: CheckGroup, object: string, look: () => Promise<readonly Check[]>, made: readonly Check[] = []): Promise<readonly Check[]> {
  try {
    return await look();
  } catch (error) {
    if (wasCancelled(error)) throw error;
    const [first, ...others] = skipRest(group, object, 'the look broke off', made);
    return first === undefined ? [] : [{ ...first, verdict: 'problem', text: `the look broke off: ${failureText(error)}`, remedy: 'See the worker\'s log; an older worker does not know this check.' }, ...others];
  }
}
