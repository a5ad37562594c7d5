// Runs the real command in this process, against a real Temporal with stand-in flows. `interrupt` is a Ctrl-C.
import path from 'node:path';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { main } from '../../client/cli/main';
import type { Io } from '../../client/cli/io';
import { workflowBundle } from '../../worker/workflow-bundle';
import { startTemporal, type TemporalOptions, type TestTemporal } from '../support/temporal';
import { temporaryDirectory } from '../support/temporary';

export const root = path.resolve(__dirname, '../..');

export interface StandIns {
  readonly temporal: TestTemporal;
  stop(): Promise<void>;
}

export async function startStandIns(options: TemporalOptions = {}): Promise<StandIns> {
  // Failing runs are what is tested: the worker's warnings about them would bury the test's own output.
  Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { forward: {}, filter: 'ERROR' } } });
  const temporal = await startTemporal(options);
  const connection = await NativeConnection.connect({ address: temporal.address });
  const worker = await Worker.create({ connection, namespace: temporal.namespace, taskQueue: 'holdfast', workflowBundle: await workflowBundle({ workflowsPath: require.resolve('./stand-ins'), rooms: ['test/client/stand-ins', 'workflows', 'domain'] }) });
  const running = worker.run();
  return {
    temporal,
    async stop() {
      worker.shutdown();
      await running;
      await connection.close();
      await temporal.stop();
    },
  };
}

export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunningCli {
  readonly ended: Promise<CliRun>;
  out(): string;
  interrupt(): void;
}

const emptyDirectory = temporaryDirectory('client');

export interface CliOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly isTerminal?: boolean;
  readonly programRoot?: string;
  readonly cwd?: string;
}

export function startCli(argv: readonly string[], options: CliOptions = {}): RunningCli {
  let out = '';
  let err = '';
  const listeners = new Set<() => void>();
  const io: Io = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    isTerminal: options.isTerminal ?? false,
    columns: () => 100,
    // Nothing of this machine's own embedded parts: a state directory that is empty.
    environment: { HOLDFAST_STATE: emptyDirectory, ...options.environment },
    cwd: options.cwd ?? emptyDirectory,
    programRoot: options.programRoot ?? root,
    onInterrupt: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    childOutput: 'pipe',
  };
  const ended = main(argv, io).then((code) => ({ code, out, err }));
  return { ended, out: () => out, interrupt: () => listeners.forEach((listener) => listener()) };
}

export function runCli(argv: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  return startCli(argv, options).ended;
}

/** Waits until the condition holds; the deadline is generous, because two cores serve everybody. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, deadlineMs = 30_000): Promise<void> {
  const giveUpAt = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > giveUpAt) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
