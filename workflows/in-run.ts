// Every run of a flow from its beginning to its end in the catalog, whatever happens in between.
import { ActivityFailure, ApplicationFailure, CancellationScope, CancelledFailure, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { NewRun } from '../activities/runs';
import type { RunSettings } from '../domain/flows/settings';
import { failureText, readFailure, wasCancelled } from './failures';
import { FlowRun, type FlowStart } from './flow-run';
import { opening, proxiesFor, type Proxies } from './proxies';

/** Opens a run, does the work, and closes the run whatever happened: completed, failed or cancelled, with everything undone. */
export async function inRun<T extends { readonly warnings: readonly string[] }>(start: FlowStart, work: (run: FlowRun, proxies: Proxies, settings: RunSettings) => Promise<T>): Promise<T> {
  const run = new FlowRun(start);
  const { workflowId, workflowType } = workflowInfo();
  const row: NewRun = {
    runId: run.runId,
    workflowId,
    workflowType,
    engine: start.engine,
    vmName: start.vmName ?? '',
    repository: start.repository,
    ...(start.vmId === undefined ? {} : { vmId: start.vmId }),
    ...(start.backupId === undefined ? {} : { backupId: start.backupId }),
    ...(start.requestId === undefined ? {} : { requestId: start.requestId }),
  };
  const settings = await opened(run, row);
  const proxies = proxiesFor(settings, (id) => run.nameOf(id));
  run.begin(proxies, settings);
  try {
    const result = await work(run, proxies, settings);
    await close(run, proxies.undo, 'completed');
    // Closing may have added a warning.
    return { ...result, warnings: [...run.warnings] };
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      run.enter('cleanup');
      await run.cleanUp();
      await close(run, proxies.undo, wasCancelled(error) ? 'cancelled' : 'failed', error);
    });
    if (isCancellation(error)) throw error;
    throw wasCancelled(error) ? new CancelledFailure('cancelled') : failureOf(run, error);
  }
}

/** Not cancellable, and closed when it fails: an opening whose answer was lost may be in the catalog all the same. */
async function opened(run: FlowRun, row: NewRun): Promise<RunSettings> {
  try {
    return await CancellationScope.nonCancellable(() => opening.openRun(row));
  } catch (error) {
    await close(run, opening, 'failed', error);
    throw failureOf(run, error);
  }
}

async function close(run: FlowRun, catalog: Pick<Proxies['undo'], 'closeRun'>, outcome: 'completed' | 'failed' | 'cancelled', error?: unknown): Promise<void> {
  const { engine, vmId } = run.start;
  const failure = error === undefined ? undefined : (({ code, message }) => ({ code, message }))(readFailure(error));
  await CancellationScope.nonCancellable(async () => {
    try {
      await catalog.closeRun({ runId: run.runId, engine, outcome, warnings: run.warnings, leftovers: run.leftovers, ...(failure ? { failure } : {}), ...(vmId === undefined ? {} : { vmId }) });
    } catch (closing) {
      run.warn(`the catalog still calls this run open: ${failureText(closing)}`);
    }
    run.finish(outcome, failure);
  });
}

/** What the run failed with, and what became of its traces. */
function failureOf(run: FlowRun, error: unknown): ApplicationFailure {
  const { code, message, details } = readFailure(error);
  return ApplicationFailure.create({
    type: code,
    message,
    nonRetryable: true,
    details: [{ ...details, runId: run.runId, undone: run.undone, warnings: run.warnings, leftovers: run.leftovers }],
    // Of a refusal by the flow itself there is nothing more to tell.
    ...(error instanceof ActivityFailure ? { cause: error } : {}),
  });
}
