// The typed client: starts flows under the ids that are their locks, attaches to running ones, asks the short questions. It speaks to
// Temporal only; what the flows do is not here.
import { randomUUID } from 'node:crypto';
import type { Client, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { Client as TemporalClient } from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { z } from 'zod';
import type { BackupVmOutput, BackupVmRequest } from '../domain/flows/backup-vm';
import type { RunDoctorOutput, RunDoctorRequest } from '../domain/flows/doctor';
import type { AcknowledgeAlertsInput, AcknowledgeAlertsOutput, ListAlertsOutput, ListAlertsRequest } from '../domain/flows/alerts';
import type { CheckBackupAwarenessInput, CheckBackupAwarenessOutput, SetBackupAwarenessInput, SetBackupAwarenessOutput, ShowBackupAwarenessOutput, ShowBackupAwarenessRequest } from '../domain/flows/awareness';
import type { ListHoldingsOutput, ListHoldingsRequest } from '../domain/flows/holdings';
import type { FindVmsOutput, FindVmsRequest, ListBackupsOutput, ListBackupsRequest, ListRunsOutput, ListRunsRequest, RebuildCatalogInput, RebuildCatalogOutput } from '../domain/flows/queries';
import type { RestoreVmOutput, RestoreVmRequest } from '../domain/flows/restore-vm';
import type { VerifyBackupOutput, VerifyBackupRequest } from '../domain/flows/verify-backup';
import type { ListVmAwarenessOutput, ListVmAwarenessRequest } from '../domain/flows/vm-awareness';
import { taskQueues, workflowIds } from '../domain/ids';
import { defaultEndpoint, openConnection } from './connect';
import type { ConnectOptions } from './connect';
import { HoldfastClientError } from './errors';
import { toHoldfastError } from './failures';
import type { Endpoint } from './failures';
import { flows } from './flows';
import { ask } from './questions';
import type { Patience, QuestionName } from './questions';
import { outputSchemaOf, RunHandle, runFlows } from './run-handle';
import type { BackupHandle, RestoreHandle, RunFlow, VerifyHandle } from './run-handle';
import { parseRequest } from './validate';

export interface HoldfastClientOptions {
  /** Base address of Temporal's UI; with it, handles carry a `runUrl`. */
  readonly uiUrl?: string;
  /** Where the given Temporal client is connected to, for messages. */
  readonly address?: string;
  readonly patience?: Partial<ClientPatience>;
}

export interface ClientPatience extends Required<Patience> {
  /** How long Temporal may be unreachable before a waiting `result` or `watch` gives up: a server's restart should not end a watch. */
  readonly reconnectMs: number;
}

/** Beside the request: what people read in Temporal's UI. */
export interface StartOptions {
  /** The VM's name, when the caller knows it: ids alone read badly. */
  readonly vmName?: string;
}

/** As a new VM the request id may be left out: then it is a fresh one. Give it to be safe against starting twice. */
export type RestoreRequest = RestoreVmRequest;

const defaultPatience: ClientPatience = { pickUpMs: 15_000, answerMs: 120_000, reconnectMs: 60_000 };

export class HoldfastClient {
  readonly #endpoint: Endpoint;
  #close: () => Promise<void> = () => Promise.resolve();

  /** Around a Temporal client that the caller made, with its own connection, TLS, codec, interceptors. */
  constructor(
    readonly temporal: Client,
    private readonly options: HoldfastClientOptions = {},
  ) {
    this.#endpoint = { address: options.address ?? '(given client)', namespace: temporal.options.namespace };
  }

  static async connect(options: ConnectOptions & HoldfastClientOptions = {}): Promise<HoldfastClient> {
    const endpoint = { address: options.address ?? defaultEndpoint.address, namespace: options.namespace ?? defaultEndpoint.namespace };
    const { connection, close } = await openConnection(endpoint, options.connection);
    const client = new HoldfastClient(new TemporalClient({ connection, namespace: endpoint.namespace }), { ...options, address: endpoint.address });
    client.#close = close;
    return client;
  }

  /** Closes the connection that `connect` opened; a Temporal client given to the constructor stays the caller's. */
  close(): Promise<void> {
    return this.#close();
  }

  async backupVm(request: BackupVmRequest, start: StartOptions = {}): Promise<BackupHandle> {
    const input = parseRequest('backupVm', flows.backupVm.input, request);
    const kind = input.method === 'appliance' ? 'full' : input.kind;
    const title = `Back up ${start.vmName ?? input.vmId} of ${input.engine} to ${input.repository} (${kind}, ${input.method})`;
    return this.#start<BackupVmOutput>('backupVm', workflowIds.vm(input.engine, input.vmId), input, title, flows.backupVm.output);
  }

  async restoreVm(request: RestoreRequest): Promise<RestoreHandle> {
    const isNew = (request.as ?? 'new') === 'new';
    const input = parseRequest('restoreVm', flows.restoreVm.input, isNew ? { ...request, requestId: request.requestId ?? randomUUID() } : request);
    const { as, name, vmId = '', requestId = '', engine, backupId, repository } = input;
    const target = { new: `as ${name ?? ''}`, original: `as the original VM ${name ?? vmId}`, replace: `in the place of VM ${name ?? vmId}` }[as];
    const workflowId = as === 'new' ? workflowIds.restore(requestId) : workflowIds.vm(engine, vmId);
    return this.#start<RestoreVmOutput>('restoreVm', workflowId, input, `Restore ${backupId} from ${repository} ${target} on ${engine}`, flows.restoreVm.output);
  }

  /** Reads it again, and with `chain` everything that it lies on. Rejects its result with what it found not to be as it was sealed. */
  async verifyBackup(request: VerifyBackupRequest): Promise<VerifyHandle> {
    const input = parseRequest('verifyBackup', flows.verifyBackup.input, request);
    const { backupId, repository, chain } = input;
    return this.#start<VerifyBackupOutput>('verifyBackup', workflowIds.verify(backupId), input, `Verify ${backupId} in ${repository}${chain ? ', and what it lies on' : ''}`, flows.verifyBackup.output);
  }

  findVms(request: FindVmsRequest): Promise<FindVmsOutput> {
    const input = parseRequest('findVms', flows.findVms.input, request);
    return this.#ask('findVms', workflowIds.find(input.engine, randomUUID()), input, flows.findVms.output);
  }

  /** The one VM of this name or id. */
  async resolveVm(engine: string, nameOrId: string): Promise<FindVmsOutput['vms'][number]> {
    const { vms } = await this.findVms({ engine, vms: [nameOrId] });
    const [vm, ...others] = vms;
    if (!vm) throw new HoldfastClientError('client.not-found', `Engine ${engine} has no VM "${nameOrId}". Look at \`holdfast list vms --engine ${engine}\`.`, { engine, vm: nameOrId });
    if (others.length > 0) {
      throw new HoldfastClientError('client.ambiguous', `Engine ${engine} has ${vms.length} VMs "${nameOrId}" (${vms.map(({ id }) => id).join(', ')}). Name one by its id.`, { engine, vm: nameOrId, ids: vms.map(({ id }) => id) });
    }
    return vm;
  }

  listBackups(request: ListBackupsRequest = {}): Promise<ListBackupsOutput> {
    const input = parseRequest('listBackups', flows.listBackups.input, request);
    return this.#ask('listBackups', workflowIds.catalog('listBackups', randomUUID()), input, flows.listBackups.output);
  }

  listRuns(request: ListRunsRequest = {}): Promise<ListRunsOutput> {
    const input = parseRequest('listRuns', flows.listRuns.input, request);
    return this.#ask('listRuns', workflowIds.catalog('listRuns', randomUUID()), input, flows.listRuns.output);
  }

  /** What runs hold, or have left behind, in the engines. */
  listHoldings(request: ListHoldingsRequest = {}): Promise<ListHoldingsOutput> {
    const input = parseRequest('listHoldings', flows.listHoldings.input, request);
    return this.#ask('listHoldings', workflowIds.catalog('listHoldings', randomUUID()), input, flows.listHoldings.output);
  }

  listAlerts(request: ListAlertsRequest = {}): Promise<ListAlertsOutput> {
    const input = parseRequest('listAlerts', flows.listAlerts.input, request);
    return this.#ask('listAlerts', workflowIds.catalog('listAlerts', randomUUID()), input, flows.listAlerts.output);
  }

  /** No reminders any more of these; they stay open until what they tell of is over. */
  acknowledgeAlerts(request: AcknowledgeAlertsInput = {}): Promise<AcknowledgeAlertsOutput> {
    const input = parseRequest('acknowledgeAlerts', flows.acknowledgeAlerts.input, request);
    return this.#ask('acknowledgeAlerts', workflowIds.catalog('acknowledgeAlerts', randomUUID()), input, flows.acknowledgeAlerts.output);
  }

  /** Judges now. A check that is under way is waited for. */
  checkBackupAwareness(request: CheckBackupAwarenessInput): Promise<CheckBackupAwarenessOutput> {
    const input = parseRequest('checkBackupAwareness', flows.checkBackupAwareness.input, request);
    return this.#ask('checkBackupAwareness', workflowIds.awareness(input.engine), input, flows.checkBackupAwareness.output);
  }

  showBackupAwareness(request: ShowBackupAwarenessRequest): Promise<ShowBackupAwarenessOutput> {
    const input = parseRequest('showBackupAwareness', flows.showBackupAwareness.input, request);
    return this.#ask('showBackupAwareness', workflowIds.awarenessSettings('show', input.engine, randomUUID()), input, flows.showBackupAwareness.output);
  }

  /** As of the last check. */
  listVmAwareness(request: ListVmAwarenessRequest): Promise<ListVmAwarenessOutput> {
    const input = parseRequest('listVmAwareness', flows.listVmAwareness.input, request);
    return this.#ask('listVmAwareness', workflowIds.catalog('listVmAwareness', randomUUID()), input, flows.listVmAwareness.output);
  }

  /** A period of -1 disables: one last check clears the alert. `null` goes back to the workers' configuration. */
  setBackupAwareness(request: SetBackupAwarenessInput): Promise<SetBackupAwarenessOutput> {
    const input = parseRequest('setBackupAwareness', flows.setBackupAwareness.input, request);
    return this.#ask('setBackupAwareness', workflowIds.awarenessSettings('set', input.engine, randomUUID()), input, flows.setBackupAwareness.output);
  }

  /** Looks at everything that runs need; what is wrong is in the answer. Its looks have deadlines of their own. */
  runDoctor(request: RunDoctorRequest = {}): Promise<RunDoctorOutput> {
    const input = parseRequest('runDoctor', flows.runDoctor.input, request);
    return this.#ask('runDoctor', workflowIds.doctor(randomUUID()), input, flows.runDoctor.output, { pickUpMs: this.#patience.pickUpMs });
  }

  /** Reads every manifest of the repository, so it waits for the answer as long as it takes. */
  rebuildCatalog(request: RebuildCatalogInput): Promise<RebuildCatalogOutput> {
    const input = parseRequest('rebuildCatalog', flows.rebuildCatalog.input, request);
    return this.#ask('rebuildCatalog', workflowIds.catalog('rebuildCatalog', randomUUID()), input, flows.rebuildCatalog.output, { pickUpMs: this.#patience.pickUpMs });
  }

  /** A handle on the newest run of a workflow id, open or ended. */
  async attach(workflowId: string): Promise<RunHandle> {
    try {
      const description = await this.temporal.workflow.getHandle(workflowId).describe();
      const flow = runFlows.find((name) => name === description.type);
      if (!flow) throw new HoldfastClientError('client.protocol', `${workflowId} is a run of "${description.type}", not a backup, restore or verification.`, { workflowId });
      return this.#handle(flow, workflowId, description.runId, outputSchemaOf(flow));
    } catch (error) {
      throw toHoldfastError(error, { flow: 'run', workflowId }, this.#endpoint);
    }
  }

  #ask<Output>(flow: QuestionName, workflowId: string, input: object, output: z.ZodType<Output>, patience: Patience = this.#patience): Promise<Output> {
    return ask(this.temporal, this.#endpoint, { flow, workflowId, input, output, patience });
  }

  async #start<Output>(flow: RunFlow, workflowId: string, input: object, title: string, output: z.ZodType<Output>): Promise<RunHandle<Output>> {
    let started: WorkflowHandleWithFirstExecutionRunId;
    try {
      // No execution and no run timeout: Temporal would end the run without its undo.
      started = await this.temporal.workflow.start(flow, {
        workflowId,
        taskQueue: taskQueues.control,
        args: [input],
        workflowIdConflictPolicy: 'FAIL',
        workflowIdReusePolicy: workflowId.startsWith('vm/') ? 'ALLOW_DUPLICATE' : flows[flow].idReusePolicy,
        staticSummary: title,
        memo: { title },
      });
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) throw await this.#alreadyRunning(flow, workflowId, error);
      throw toHoldfastError(error, { flow, workflowId }, this.#endpoint);
    }
    return this.#handle(flow, workflowId, started.firstExecutionRunId, output);
  }

  async #alreadyRunning(flow: RunFlow, workflowId: string, cause: Error): Promise<HoldfastClientError> {
    const other = await this.temporal.workflow.getHandle(workflowId).describe().catch(() => undefined);
    const about = other ? `${other.type} since ${other.startTime.toISOString()}, Temporal run ${other.runId}` : 'details unknown';
    const details = { workflowId, ...(other ? { type: other.type, startedAt: other.startTime.toISOString(), temporalRunId: other.runId, status: other.status.name } : {}) };
    const goesOn = `wait for it with \`holdfast show ${workflowId} --watch\` or end it with \`holdfast cancel ${workflowId}\`.`;
    if (flow === 'verifyBackup') return new HoldfastClientError('client.already-running', `This backup is being verified: ${workflowId} (${about}). Once at a time: ${goesOn}`, details, { cause });
    const message = flow === 'restoreVm' && workflowId.startsWith('restore/')
      ? `Restore request ${workflowId} was used before (${about}). A request id is unique for ever: choose a new one, or look at that run with \`holdfast show ${workflowId}\`.`
      : `This VM has an open run: ${workflowId} (${about}). One run per VM at a time: ${goesOn}`;
    return new HoldfastClientError('client.already-running', message, details, { cause });
  }

  #handle<Output>(flow: RunFlow, workflowId: string, temporalRunId: string, output: z.ZodType<Output>): RunHandle<Output> {
    const { uiUrl } = this.options;
    const runUrl = uiUrl && `${uiUrl.replace(/\/$/, '')}/namespaces/${encodeURIComponent(this.#endpoint.namespace)}/workflows/${encodeURIComponent(workflowId)}/${temporalRunId}`;
    return new RunHandle(this.temporal, this.#endpoint, flow, workflowId, temporalRunId, output, runUrl, this.#patience.reconnectMs);
  }

  get #patience(): ClientPatience {
    return { ...defaultPatience, ...this.options.patience };
  }
}
