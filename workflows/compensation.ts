// The undo stack. An undo is pushed BEFORE its step, is idempotent, and treats "not there" as done; so it may run whether the step happened,
// half happened or never began. Unwinding goes newest first, cannot be cancelled, and swallows nothing: what could not be
// undone comes back as a leftover.
import { CancellationScope, sleep } from '@temporalio/workflow';
import type { Leftover } from '../domain/holdings';
import { failureText, readFailure } from './failures';

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

  /** Each step is tried until `patienceMs` after the first try; `onTrouble` hears why it has to be tried again. */
  async unwind(patienceMs: number, onTrouble: (trouble: string | undefined) => void): Promise<Unwound> {
    const undone: string[] = [];
    const leftovers: Leftover[] = [];
    await CancellationScope.nonCancellable(async () => {
      for (let step = this.steps.pop(); step; step = this.steps.pop()) {
        const failure = await tryUntil(step, Date.now() + patienceMs, onTrouble);
        if (failure === undefined) undone.push(step.name);
        else leftovers.push({ ...step.leftover, reason: `${step.name}: ${failure}` });
      }
    });
    return { undone, leftovers };
  }
}

/**
 * What no retry of the same call can mend, but somebody else can: a migration ends, another product lets go, an operator mends the password or a disk.
 * A step forward fails with these at once; an undo has nowhere else to go.
 */
const mayPass: readonly string[] = ['engine.conflict', 'engine.refused', 'engine.unauthorized', 'engine.forbidden', 'engine.certificate', 'disk.illegal', 'config.invalid', 'repository.not-writable', 'repository.full', 'repository.unknown'];
const firstPauseMs = 2_000;
const longestPauseMs = 60_000;

/** Undefined when it was undone, else why not. */
async function tryUntil(step: Undo, endsAtMs: number, onTrouble: (trouble: string | undefined) => void): Promise<string | undefined> {
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      await step.run();
      onTrouble(undefined);
      return undefined;
    } catch (error) {
      const failure = failureText(error);
      if (!mayPass.includes(readFailure(error).code) || Date.now() + pauseMs > endsAtMs) {
        onTrouble(undefined);
        return failure;
      }
      onTrouble(`${step.name} is tried again: ${failure}`);
      await sleep(pauseMs);
    }
  }
}
