// What a copy tells while it runs: heartbeats to Temporal (liveness, at least every `heartbeatMs`), a lease renewed beside them, and reports
// to the workflow at growing intervals, so that a copy of a day adds tens of events to the history, not thousands.
import type { Context } from '@temporalio/activity';
import type { CopyFigures } from '../adapters/blocks';
import type { CopyReport } from '../domain/flows/progress';

const firstReportMs = 2_000;
/** The next report comes when the copy is this much older than at the last one. */
const growth = 1.1;

export class CopyReporter {
  private figures: CopyFigures | undefined;
  private reportAtMs = 0;
  private readonly startedAtMs = Date.now();

  constructor(
    private readonly context: Context,
    private readonly diskId: string,
    /** What earlier attempts have moved, and counted. */
    private countedBytes: number,
    private readonly heartbeatMs: number,
    private readonly renewLease: () => Promise<void>,
    private readonly details: () => object = () => ({}),
  ) {}

  note(figures: CopyFigures): void {
    this.figures = figures;
    const movedBytes = figures.dataBytes - this.countedBytes;
    this.countedBytes = figures.dataBytes;
    if (movedBytes > 0) this.context.metricMeter.createCounter('holdfast_moved_bytes', undefined, 'Data that copies have read, zeroes left out').add(movedBytes, { activity: this.context.info.activityType });
  }

  /** Runs `work` with a signal that fires when the activity is cancelled or the lease is lost. */
  async during<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const lost = new AbortController();
    const signal = AbortSignal.any([this.context.cancellationSignal, lost.signal]);
    const timer = setInterval(() => this.beat(lost), this.heartbeatMs);
    try {
      return await work(signal);
    } catch (error) {
      // The copy only sees "aborted"; what Temporal must hear is why.
      if (lost.signal.aborted) throw lost.signal.reason;
      if (this.context.cancellationSignal.aborted) await this.context.cancelled;
      throw error;
    } finally {
      clearInterval(timer);
      this.report(true);
    }
  }

  private beat(lost: AbortController): void {
    this.context.heartbeat({ ...this.details(), ...this.figures });
    this.report(false);
    this.renewLease().catch((error: unknown) => lost.abort(error));
  }

  private report(last: boolean): void {
    const elapsedMs = Date.now() - this.startedAtMs;
    const execution = this.context.info.workflowExecution;
    if (!this.figures || !execution || (!last && elapsedMs < Math.max(firstReportMs, this.reportAtMs))) return;
    this.reportAtMs = elapsedMs * growth + firstReportMs;
    const { positionBytes, dataBytes, bytesPerSecond } = this.figures;
    const report: CopyReport = { diskId: this.diskId, positionBytes, dataBytes, bytesPerSecond: Math.round(bytesPerSecond) };
    // A report that is lost is only a figure that comes later.
    this.context.client.workflow
      .getHandle(execution.workflowId, execution.runId)
      .signal('copyReport', report)
      .catch((error: unknown) => {
        this.context.log.debug('a copy report did not reach its workflow', { error: String(error) });
      });
  }
}
