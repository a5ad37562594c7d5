// From what an operator types to a run: a workflow id, a run's id, a restore's request id, a backup that is verified, a VM's name or id. Temporal is asked first,
// because it answers when the catalog cannot.
import type { HoldfastClient } from './holdfast-client';
import { uuidSchema, workflowIds } from '../domain/ids';
import { HoldfastClientError } from './errors';
import type { RunHandle } from './run-handle';

export async function findRun(client: HoldfastClient, target: string, engine: string | undefined): Promise<RunHandle> {
  if (target.includes('/')) return client.attach(target);
  if (!uuidSchema.safeParse(target).success) return runOfVmNamed(client, target, engine);
  const direct = (await attachIfKnown(client, workflowIds.restore(target))) ?? (await attachIfKnown(client, workflowIds.verify(target))) ?? (engine === undefined ? undefined : await attachIfKnown(client, workflowIds.vm(engine, target)));
  if (direct) return direct;
  const { runs } = await client.listRuns({ runId: target });
  const [run] = runs;
  if (!run) throw notFound(target);
  if (run.outcome !== 'running') {
    // The workflow id may by now belong to a newer run of the same VM: never hand that one out instead.
    throw new HoldfastClientError('client.not-found', `Run ${target} has ended (${run.outcome}${run.endedAt === null ? '' : ` at ${run.endedAt}`}). \`holdfast show ${target}\` tells more.`, { runId: target, outcome: run.outcome });
  }
  return client.attach(run.workflowId);
}

async function runOfVmNamed(client: HoldfastClient, name: string, engine: string | undefined): Promise<RunHandle> {
  if (engine === undefined) {
    throw new HoldfastClientError('input.invalid', `"${name}" is no workflow id and no run id, so it is taken as a VM's name: name its engine with --engine or HOLDFAST_ENGINE.`);
  }
  const vm = await client.resolveVm(engine, name);
  const handle = await attachIfKnown(client, workflowIds.vm(engine, vm.id));
  if (!handle) throw new HoldfastClientError('client.not-found', `VM ${vm.name} of ${engine} has no run that Temporal still keeps. Look at \`holdfast list runs --vm ${vm.id}\`.`, { engine, vmId: vm.id });
  return handle;
}

async function attachIfKnown(client: HoldfastClient, workflowId: string): Promise<RunHandle | undefined> {
  try {
    return await client.attach(workflowId);
  } catch (error) {
    if (error instanceof HoldfastClientError && error.code === 'client.not-found') return undefined;
    throw error;
  }
}

export function notFound(target: string): HoldfastClientError {
  return new HoldfastClientError('client.not-found', `Neither Temporal nor the catalog knows "${target}". Look at \`holdfast list runs\` and \`holdfast list backups\`.`, { target });
}
