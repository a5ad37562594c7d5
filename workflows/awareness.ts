// Backup awareness: the check, what shows and sets it, the delivery of what it tells, and the launcher that a Temporal Schedule starts.
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ParentClosePolicy, startChild } from '@temporalio/workflow';
import { acknowledgeAlertsInputSchema, forwardEventsInputSchema, type AcknowledgeAlertsInput, type AcknowledgeAlertsOutput, type ForwardEventsInput, type ForwardEventsOutput } from '../domain/flows/alerts';
import {
  checkBackupAwarenessInputSchema,
  launchScheduledInputSchema,
  setBackupAwarenessInputSchema,
  showBackupAwarenessInputSchema,
  type CheckBackupAwarenessInput,
  type CheckBackupAwarenessOutput,
  type LaunchScheduledInput,
  type LaunchScheduledOutput,
  type SetBackupAwarenessInput,
  type SetBackupAwarenessOutput,
  type ShowBackupAwarenessOutput,
  type ShowBackupAwarenessRequest,
} from '../domain/flows/awareness';
import { listVmAwarenessInputSchema, type ListVmAwarenessOutput, type ListVmAwarenessRequest } from '../domain/flows/vm-awareness';
import { workflowIds } from '../domain/ids';
import { answered, failureText, parseInput, requireWorkflowId, wasCancelled } from './failures';
import { awareness, delivery, inventory, opening } from './proxies';

/** What cannot be judged is told in the answer, and keeps nothing else from being judged. */
export async function checkBackupAwareness(request: CheckBackupAwarenessInput): Promise<CheckBackupAwarenessOutput> {
  const input = parseInput(checkBackupAwarenessInputSchema, request);
  requireWorkflowId(workflowIds.awareness(input.engine));
  const plan = await answered(awareness.planCheck(input));
  const warnings: string[] = [];
  const engineBackup = await told(warnings, 'whether the engine is backed up', awareness.judgeEngineBackup(input));
  const vms = plan.judgesVms ? await told(warnings, 'whether the VMs are backed up', judgedVms(input)) : undefined;
  if (!plan.judgesVms) await told(warnings, 'which alerts about VMs are over', awareness.settleVmAlerts({ ...input, findings: nothingJudged }));
  await told(warnings, 'whether the alerts still show in the engine\'s log', awareness.keepAlertsShown(input));
  return { ...(engineBackup === undefined ? {} : { engineBackup }), ...(vms === undefined ? {} : { vms }), warnings };
}

const nothingJudged = { vms: 0, objectives: [], uncovered: { vms: 0, wrong: {}, examples: [] } };

/** First the inventory: a VM that was made since the last check is without a backup, and one that is gone needs none. */
async function judgedVms(input: CheckBackupAwarenessInput): Promise<NonNullable<CheckBackupAwarenessOutput['vms']>> {
  await inventory.refreshInventory(input);
  const findings = await inventory.judgeVms(input);
  const alerts = await awareness.settleVmAlerts({ ...input, findings });
  const wrong = findings.objectives.reduce((sum, objective) => sum + countWrong(objective.wrong), 0);
  return { judged: findings.vms, withoutFreshBackup: wrong, uncovered: countWrong(findings.uncovered.wrong), ...(findings.exempt === undefined ? {} : { exempt: findings.exempt }), alerts };
}

function countWrong(wrong: Readonly<Partial<Record<string, number>>>): number {
  return Object.values(wrong).reduce<number>((sum, count = 0) => sum + count, 0);
}

async function told<T>(warnings: string[], what: string, step: Promise<T>): Promise<T | undefined> {
  try {
    return await step;
  } catch (error) {
    if (wasCancelled(error)) throw error;
    warnings.push(`${what} could not be found out: ${failureText(error)}`);
    return undefined;
  }
}

export async function showBackupAwareness(request: ShowBackupAwarenessRequest): Promise<ShowBackupAwarenessOutput> {
  return answered(awareness.showAwareness(parseInput(showBackupAwarenessInputSchema, request)));
}

/** The settings first: the schedule is made from them, and so is the check that it starts at once. */
export async function setBackupAwareness(request: SetBackupAwarenessInput): Promise<SetBackupAwarenessOutput> {
  const input = parseInput(setBackupAwarenessInputSchema, request);
  const set = await answered(awareness.setAwareness(input));
  await answered(awareness.ensureAwarenessSchedule({ engine: input.engine, checkNow: true }));
  return set;
}

export async function listVmAwareness(request: ListVmAwarenessRequest): Promise<ListVmAwarenessOutput> {
  return answered(opening.listVmAwarenessInCatalog(parseInput(listVmAwarenessInputSchema, request)));
}

export async function acknowledgeAlerts(request: AcknowledgeAlertsInput): Promise<AcknowledgeAlertsOutput> {
  return answered(awareness.acknowledgeAlerts(parseInput(acknowledgeAlertsInputSchema, request)));
}

/** One sink: others have their own run, so one that is down holds up none of them. The workers start it while something is left to tell. */
export async function forwardEvents(request: ForwardEventsInput): Promise<ForwardEventsOutput> {
  const input = parseInput(forwardEventsInputSchema, request);
  requireWorkflowId(workflowIds.events(input.engine, input.sink));
  try {
    return await delivery.deliverNotices(input);
  } catch (error) {
    if (wasCancelled(error)) throw error;
    return { delivered: 0, stopped: failureText(error) };
  }
}

/** A flow's id is its lock, and a schedule would add a time to it. Waiting for the flow gives the schedule's overlap policy its meaning. */
export async function launchScheduled(request: LaunchScheduledInput): Promise<LaunchScheduledOutput> {
  const { flow, workflowId, input } = parseInput(launchScheduledInputSchema, request);
  try {
    const child = await startChild(flow, { workflowId, args: [input], parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL, workflowIdReusePolicy: 'ALLOW_DUPLICATE' });
    await child.result();
    return { outcome: 'completed' };
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return { outcome: 'already-running' };
    if (wasCancelled(error)) throw error;
    return { outcome: 'failed', failure: failureText(error) };
  }
}
