// The undo stack. An undo is pushed BEFORE its step, is idempotent, and treats "not there" as done; so it may run whether the step happened,
// half happened or never began. Unwinding goes newest first, cannot be cancelled, and swallows nothing: what could not be
// undone is told as a leftover.
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

/** Hears what becomes of the steps, one after the other. */
export interface UnwindListener {
  /** Why a step has to be tried again; undefined when it is over. */
  trouble(text: string | undefined): void;
  undone(name: string): void;
  left(leftover: Leftover): void;
}

export class UndoStack {
  private steps: readonly Undo[] = [];

  /** `changed` hears that `holds` is another. */
  constructor(private readonly changed: () => void) {}

  /** What would be left behind if nothing were undone, newest first. */
  get holds(): readonly Undo['leftover'][] {
    return this.steps.map(({ leftover }) => leftover).reverse();
  }

  push(undo: Undo): ArmedUndo {
    this.set([...this.steps, undo]);
    const disarm = (): void => this.drop(undo);
    return {
      disarm,
      now: async () => {
        await undo.run();
        disarm();
      },
    };
  }

  /** Gives what undoes all that is pushed from now on, newest first: as steps of their own, which may fail or be cancelled. */
  savepoint(): () => Promise<void> {
    const before = new Set(this.steps);
    return async () => {
      for (let step = this.steps.at(-1); step && !before.has(step); step = this.steps.at(-1)) {
        await step.run();
        this.drop(step);
      }
    };
  }

  /** Each step is tried until `patienceMs` after the first try. */
  async unwind(patienceMs: number, listener: UnwindListener): Promise<void> {
    await CancellationScope.nonCancellable(async () => {
      for (let step = this.steps.at(-1); step; step = this.steps.at(-1)) {
        const failure = await tryUntil(step, Date.now() + patienceMs, (trouble) => listener.trouble(trouble));
        this.drop(step);
        if (failure === undefined) listener.undone(step.name);
        else listener.left({ ...step.leftover, reason: `${step.name}: ${failure}` });
      }
    });
  }

  private drop(undo: Undo): void {
    this.set(this.steps.filter((each) => each !== undo));
  }

  private set(steps: readonly Undo[]): void {
    this.steps = steps;
    this.changed();
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
