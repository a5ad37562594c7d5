// The undo stack. An undo is pushed BEFORE its step, is idempotent, and treats "not there" as done; so it may run whether the step happened,
// half happened or never began. Unwinding goes newest first, cannot be cancelled, and swallows nothing: what could not be
// undone comes back as a leftover.
import { CancellationScope } from '@temporalio/workflow';
import type { Leftover } from '../domain/holdings';
import { failureText } from './failures';

export interface Undo {
  /** What operators read: "detach disk …". */
  readonly name: string;
  /** What is left behind when it fails. */
  readonly leftover: Omit<Leftover, 'reason'>;
  readonly run: () => Promise<unknown>;
}

export interface ArmedUndo {
  /** The step's result is kept: nothing to undo any more. */
  disarm(): void;
  /** Undoes now, as a step of its own that may fail or be cancelled; disarmed when it succeeds. */
  now(): Promise<void>;
}

export interface Unwound {
  readonly undone: readonly string[];
  readonly leftovers: readonly Leftover[];
}

export class UndoStack {
  private steps: Undo[] = [];

  push(undo: Undo): ArmedUndo {
    this.steps.push(undo);
    const disarm = (): void => {
      this.steps = this.steps.filter((each) => each !== undo);
    };
    return {
      disarm,
      now: async () => {
        await undo.run();
        disarm();
      },
    };
  }

  async unwind(): Promise<Unwound> {
    const undone: string[] = [];
    const leftovers: Leftover[] = [];
    await CancellationScope.nonCancellable(async () => {
      for (let step = this.steps.pop(); step; step = this.steps.pop()) {
        try {
          await step.run();
          undone.push(step.name);
        } catch (error) {
          leftovers.push({ ...step.leftover, reason: `${step.name}: ${failureText(error)}` });
        }
      }
    });
    return { undone, leftovers };
  }
}
