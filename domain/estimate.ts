// How far a run is and how long it still takes, from the progress it tells. Pure: the clock is an argument.
import type { Progress } from './flows/progress';

export interface Estimate {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  /** Undefined until there is something to go by. */
  readonly secondsLeft: number | undefined;
}

interface Sample {
  readonly atMs: number;
  readonly doneBytes: number;
}

const windowMs = 60_000;

/**
 * The rate shown is the workers' own. The time left goes by the speed of the position over the last minute: workers report in growing
 * intervals, and holes pass faster than data. Samples are kept only when the position moves.
 */
export class Estimator {
  #samples: Sample[] = [];
  #stage = '';

  add(progress: Progress, atMs: number): Estimate {
    const totalBytes = sum(progress.disks.map((disk) => disk.virtualBytes));
    const doneBytes = sum(progress.disks.map((disk) => (disk.state === 'done' ? disk.virtualBytes : Math.min(disk.positionBytes, disk.virtualBytes))));
    const bytesPerSecond = progress.paused ? 0 : sum(progress.disks.filter(({ state }) => state === 'copying' || state === 'proving').map((disk) => disk.bytesPerSecond));
    const last = this.#samples.at(-1);
    // Proving starts the positions anew, and a pause stops the clock.
    const stage = `${progress.phase}/${String(progress.paused)}`;
    if (stage !== this.#stage || (last && doneBytes < last.doneBytes)) this.#samples = [];
    this.#stage = stage;
    if (this.#samples.at(-1)?.doneBytes !== doneBytes) this.#samples.push({ atMs, doneBytes });
    while (this.#samples.length > 2 && atMs - (this.#samples[1]?.atMs ?? atMs) > windowMs) this.#samples.shift();
    return { doneBytes, totalBytes, bytesPerSecond, secondsLeft: progress.paused ? undefined : this.#secondsLeft(totalBytes - doneBytes) };
  }

  #secondsLeft(remainingBytes: number): number | undefined {
    if (remainingBytes === 0) return 0;
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (!first || !last || last.atMs === first.atMs) return undefined;
    return (remainingBytes * (last.atMs - first.atMs)) / 1000 / (last.doneBytes - first.doneBytes);
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
