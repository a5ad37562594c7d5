// What the suite costs, so that whoever adds cells sees it: seconds of the clock and of the CPU, by what used them. Two cores are all there is, and
// most of a cell's time is somebody's CPU: a worker that starts again above all.
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { Stack } from '../e2e/support/stack';
import type { WorkerProcess } from './worker-process';

/** Of Linux on every machine that this runs on: `getconf CLK_TCK`. */
const ticksPerSecond = 100;

interface CpuSeconds {
  readonly own: number;
  /** Of children that have ended, and theirs. */
  readonly children: number;
}

export function cpuOf(pid: number | 'self'): CpuSeconds {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const ticks = text.slice(text.lastIndexOf(')') + 2).split(' ').slice(11, 15).map(Number);
    const [user = 0, system = 0, childrenUser = 0, childrenSystem = 0] = ticks;
    return { own: (user + system) / ticksPerSecond, children: (childrenUser + childrenSystem) / ticksPerSecond };
  } catch {
    return { own: 0, children: 0 };
  }
}

export class Costs {
  private readonly startedMs = performance.now();
  private readonly before = cpuOf('self');

  constructor(
    private readonly stack: Stack,
    private readonly workers: () => readonly WorkerProcess[],
  ) {}

  told(cells: number): string {
    const [self, workers] = [cpuOf('self'), this.workers()];
    const running = workers.filter(({ isRunning }) => isRunning).flatMap(({ pid }) => pid ?? []);
    const starts = workers.flatMap(({ startCosts }) => startCosts);
    const sum = (seconds: readonly number[]): number => seconds.reduce((total, each) => total + each, 0);
    const part = (name: 'temporal' | 'postgres' | 'lab'): string => {
      const cpu = cpuOf(this.stack.pidOf(name));
      return `${name} ${(cpu.own + cpu.children).toFixed(0)}`;
    };
    const ofWorkers = self.children - this.before.children + sum(running.map((pid) => cpuOf(pid).own));
    return [
      `${cells} cells in ${((performance.now() - this.startedMs) / 1000).toFixed(0)} s; seconds of CPU: harness ${(self.own - this.before.own).toFixed(0)}, workers and the harness's tools ${ofWorkers.toFixed(0)}`,
      `(${starts.length} starts of a worker, ${(sum(starts) / Math.max(starts.length, 1)).toFixed(1)} each), ${part('temporal')}, ${part('postgres')}, ${part('lab')}`,
    ].join(' ');
  }
}
