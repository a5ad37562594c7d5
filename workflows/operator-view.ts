// What a run shows in the Temporal UI while it goes on: its page, which costs nothing, and its row in the list, each change of which is one
// event in the history. The words are in details.ts.
import type { SearchAttributePair } from '@temporalio/common';
import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { Estimator } from '../domain/estimate';
import type { Progress } from '../domain/flows/progress';
import type { UndoStack } from './compensation';
import { describeRun, progressLine, type RunEnd, type RunView } from './details';
import { searchAttributes } from './messages';

interface Facts {
  readonly engine: string;
  readonly repository: string;
  readonly backupId?: string;
  readonly startedAtMs: number;
}

const wordsOf: Readonly<Record<string, (backupId: string) => string>> = { restoreVm: (backupId) => `restore of backup ${backupId}`, verifyBackup: (backupId) => `verification of backup ${backupId}` };

export class OperatorView {
  private readonly estimator = new Estimator();
  private line = '';
  private product: string | undefined;
  private ended: RunEnd | undefined;

  /** `progress` and `undo` are the run's own, and are read when something is shown. */
  constructor(
    private readonly of: Facts,
    private readonly progress: Progress,
    private readonly undo: Pick<UndoStack, 'holds'>,
  ) {}

  made(product: string): void {
    this.product = product;
  }

  end(outcome: RunEnd['outcome'], failure: RunEnd['failure']): void {
    this.ended = { outcome, ...(failure ? { failure } : {}), ...(this.product === undefined ? {} : { product: this.product }) };
  }

  /** The run's page. */
  publish(): void {
    setCurrentDetails(describeRun(this.now()));
  }

  /** The run's row: nothing new, no event. */
  tell(attributes: readonly SearchAttributePair[] = []): void {
    const line = progressLine(this.now());
    if (attributes.length === 0 && line === this.line) return;
    this.line = line;
    upsertSearchAttributes([...attributes, { key: searchAttributes.progress, value: line }]);
  }

  private now(): RunView {
    const { engine, repository, backupId, startedAtMs } = this.of;
    const atMs = Date.now();
    return {
      progress: this.progress,
      estimate: this.estimator.add(this.progress, atMs),
      what: wordsOf[workflowInfo().workflowType]?.(backupId ?? '') ?? 'backup',
      engine,
      repository,
      startedAtMs,
      atMs,
      holds: this.undo.holds,
      ...(this.ended ? { end: this.ended } : {}),
    };
  }
}
