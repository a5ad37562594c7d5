// Watches a run until it ends, or until Ctrl-C: then the watching ends and the run goes on, because it lives in Temporal and not here.
import { HoldfastClientError } from '../errors';
import type { RunHandle } from '../run-handle';
import { exitCodes } from './exit-codes';
import type { Io } from './io';
import { PlainView, silentView, TerminalView } from './progress-view';
import type { ProgressView } from './progress-view';
import type { Session } from './session';

/** Queries may fail while a worker restarts; that is worth a word only when it lasts. */
const troubledPollsBeforeNote = 5;

class Interrupted extends Error {}

export interface RunDocument<Output> {
  readonly workflowId: string;
  readonly temporalRunId: string;
  readonly runUrl: string | undefined;
  readonly outcome: 'started' | 'completed' | 'detached';
  readonly result?: Output;
}

export async function watchRun<Output extends object>(session: Session, handle: RunHandle<Output>, report: (output: Output) => string): Promise<number> {
  const { io } = session;
  const view = chooseView(session);
  const interrupted = new AbortController();
  const stopListening = io.onInterrupt(() => interrupted.abort(new Interrupted()));
  try {
    const output = await handle.watch((progress) => view.update(progress, Date.now()), { signal: interrupted.signal, onTrouble: troubleTeller(view) });
    view.finish();
    session.print(runDocument(handle, 'completed', output), () => report(output));
    return exitCodes.ok.code;
  } catch (error) {
    view.finish();
    if (!(error instanceof Interrupted)) throw error;
    return detached(session, handle);
  } finally {
    stopListening();
  }
}

export function runDocument<Output>(handle: RunHandle<Output>, outcome: RunDocument<Output>['outcome'], result?: Output): RunDocument<Output> {
  return { workflowId: handle.workflowId, temporalRunId: handle.temporalRunId, runUrl: handle.runUrl, outcome, ...(result === undefined ? {} : { result }) };
}

export function describeStart<Output>(handle: RunHandle<Output>): string {
  return `Started ${handle.flow} ${handle.workflowId}${handle.runUrl === undefined ? '' : `\n  ${handle.runUrl}`}\n`;
}

function chooseView({ io, json }: Session): ProgressView {
  if (json) return silentView;
  return io.isTerminal ? new TerminalView(io.out, io.columns) : new PlainView(io.out);
}

function troubleTeller(view: ProgressView): (error: Error) => void {
  let polls = 0;
  let told = false;
  return (error) => {
    polls += 1;
    // Nobody answered for as long as a query may take: that has lasted already.
    const lasts = polls >= troubledPollsBeforeNote || (error instanceof HoldfastClientError && error.code === 'client.no-answer');
    if (told || !lasts) return;
    told = true;
    view.note(`The run cannot be asked just now; it goes on by itself. ${error.message}`);
  };
}

function detached<Output>(session: Session, handle: RunHandle<Output>): number {
  if (session.json) session.io.out(`${JSON.stringify(runDocument(handle, 'detached'), undefined, 2)}\n`);
  tellDetached(session.io, handle.workflowId);
  return exitCodes.detached.code;
}

function tellDetached(io: Io, workflowId: string): void {
  io.err(`\nNo longer watching. The run goes on in Temporal: ${workflowId}\n  watch it again:  holdfast show ${workflowId} --watch\n  cancel it:       holdfast cancel ${workflowId}\n`);
}
