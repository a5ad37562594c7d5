// How a run ended, and whether it is how it had to: its outcome, the code it failed with, and the leftovers that it names itself.
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastRunError } from '../../client';
import type { Handle } from './runs';

const runLimitMs = 240_000;

export interface Ending {
  readonly outcome: 'completed' | 'failed' | 'cancelled';
  /** The code of the failure; not asked when absent. */
  readonly code?: string;
  /** Kinds of what the run says it could not release. Nothing else may be left. */
  readonly leftovers?: readonly string[];
}

interface Told {
  readonly code?: string;
  readonly message?: string;
  readonly warnings: readonly string[];
  readonly leftovers: readonly { readonly kind: string; readonly objectId?: string | undefined }[];
}

export class End {
  constructor(
    readonly outcome: Ending['outcome'] | 'still running' | 'unknown',
    private readonly told: Told,
  ) {}

  get warnings(): readonly string[] {
    return this.told.warnings;
  }

  get leftovers(): Told['leftovers'] {
    return this.told.leftovers;
  }

  get text(): string {
    const { code, message, warnings, leftovers } = this.told;
    const left = leftovers.length === 0 ? '' : `; left behind, and named by the run: ${leftovers.map(({ kind }) => kind).join(', ')}`;
    const failure = message === undefined ? '' : ` (${code === undefined ? '' : `${code}: `}${message})`;
    return `${this.outcome}${failure}${left}${warnings.length > 0 ? ` (${warnings.join('; ')})` : ''}`;
  }

  /** What is wrong with it. */
  against({ outcome, code, leftovers = [] }: Ending): readonly string[] {
    const left = this.told.leftovers.map(({ kind }) => kind);
    return [
      ...(this.outcome === outcome ? [] : [`the run ended ${this.text}, not ${outcome}`]),
      ...(code === undefined || this.told.code === code ? [] : [`the run failed with ${this.told.code ?? 'no code'}, not ${code}`]),
      ...(left.join() === leftovers.join() ? [] : [`the run names as left behind: ${left.join(', ') || 'nothing'}, not ${leftovers.join(', ') || 'nothing'}`]),
    ];
  }
}

export async function endOf(handle: Handle): Promise<End> {
  const timer = new AbortController();
  const late = sleep(runLimitMs, new End('still running', { message: `after ${runLimitMs / 1000} s`, warnings: [], leftovers: [] }), { signal: timer.signal, ref: false });
  late.catch(() => undefined);
  const ended = resultOf(handle).then(
    ({ warnings, leftovers }) => new End('completed', { warnings, leftovers }),
    (error: unknown) => {
      if (!(error instanceof HoldfastRunError)) return new End('unknown', { message: String(error), warnings: [], leftovers: [] });
      const { code, message, details: { leftovers } } = error;
      return code === 'run.cancelled' ? new End('cancelled', { warnings: [], leftovers }) : new End('failed', { code, message, warnings: [], leftovers });
    },
  );
  try {
    return await Promise.race([ended, late]);
  } finally {
    timer.abort();
  }
}

/** Of whatever flow. */
function resultOf(handle: Handle): Promise<Pick<Told, 'warnings' | 'leftovers'>> {
  return handle.result();
}
