// One crash worker as a process of the harness: starts it, waits until it polls, and sees how it ended. It dies with the harness.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { until } from '../e2e/support/vms';
import { cpuOf } from './costs';

const program = path.resolve(__dirname, '../../dist/test/crash/worker/crash-worker.js');
const readyLimitMs = 90_000;

export interface WorkerPlace {
  readonly name: string;
  readonly configFile: string;
  /** Where the harness puts the fault and the worker what it did. */
  readonly faults: string;
  readonly logFile: string;
  readonly env: NodeJS.ProcessEnv;
}

export class WorkerProcess {
  private child: ChildProcess | undefined;
  private logFrom = 0;
  /** Seconds of CPU until it polled, of each start. */
  readonly startCosts: number[] = [];

  constructor(readonly place: WorkerPlace) {}

  /** undefined: it was never started. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The signal that ended it, as the kernel told its parent. */
  get endedBy(): string | undefined {
    if (!this.child || this.isRunning) return undefined;
    return this.child.signalCode ?? `exit code ${String(this.child.exitCode)}`;
  }

  logText(): string {
    return readFileSync(this.place.logFile).subarray(this.logFrom).toString('utf8');
  }

  async start(): Promise<void> {
    const { name, configFile, faults, logFile, env } = this.place;
    if (this.isRunning) throw new Error(`worker ${name} runs already`);
    mkdirSync(path.dirname(logFile), { recursive: true });
    const log = openSync(logFile, 'a', 0o600);
    this.logFrom = statSync(logFile).size;
    // A group of its own would outlive a Ctrl-C; PDEATHSIG makes it die with us however we end.
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, program, '--config', configFile, '--faults', faults], { env, stdio: ['ignore', log, log] });
    closeSync(log);
    await until(`worker ${name} polls its queues`, () => {
      if (!this.isRunning) return Promise.reject(new Error(`worker ${name} ended at its start (${this.endedBy ?? 'unknown'}):\n${this.logText().slice(-3000)}`));
      return Promise.resolve(this.logText().includes('"ready":true'));
    }, readyLimitMs);
    this.startCosts.push(this.pid === undefined ? 0 : cpuOf(this.pid).own);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.pid === undefined) throw new Error(`worker ${this.place.name} was never started`);
    process.kill(this.pid, signal);
  }

  async ended(): Promise<void> {
    if (this.child && this.isRunning) await once(this.child, 'exit');
  }

  /** Not gracefully: it has nothing to do any more when the harness stops it. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    // One that is stopped by SIGSTOP obeys this, too.
    this.signal('SIGKILL');
    await this.ended();
  }
}
