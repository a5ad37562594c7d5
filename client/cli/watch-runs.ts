// Waits for several runs at once: one line when each ends, no bars. Ctrl-C ends the waiting, the runs go on.
import type { RunHandle } from '../run-handle';
import { exitCodes } from './exit-codes';
import { errorDocument, printError } from './print-error';
import type { Session } from './session';
import { runDocument } from './watch-run';

class Interrupted extends Error {}

/** The exit code of the run that ended worst. */
export async function watchRuns<Output extends object>(session: Session, handles: readonly RunHandle<Output>[], report: (output: Output) => string): Promise<number> {
  const { io, json } = session;
  const interrupted = new AbortController();
  const stopListening = io.onInterrupt(() => interrupted.abort(new Interrupted()));
  try {
    const ended = await Promise.all(handles.map(async (handle) => {
      try {
        const output = await handle.watch(() => undefined, { signal: interrupted.signal });
        if (!json) io.out(report(output));
        return { document: runDocument(handle, 'completed', output), code: exitCodes.ok.code };
      } catch (error) {
        if (error instanceof Interrupted) return { document: runDocument(handle, 'detached'), code: exitCodes.detached.code };
        const { workflowId, temporalRunId, runUrl } = handle;
        const code = json ? errorDocument(error).exitCode : printError(io, error, false);
        return { document: { workflowId, temporalRunId, runUrl, outcome: 'failed', error: errorDocument(error) }, code };
      }
    }));
    if (json) session.print({ runs: ended.map(({ document }) => document) }, () => '');
    const going = ended.filter(({ code }) => code === exitCodes.detached.code).map(({ document }) => document.workflowId);
    if (going.length > 0) io.err(`\nNo longer watching. These runs go on in Temporal:\n${going.map((id) => `  holdfast show ${id} --watch\n`).join('')}`);
    return Math.max(exitCodes.ok.code, ...ended.map(({ code }) => code));
  } finally {
    stopListening();
  }
}
