// The worker process: `node dist/worker/main.js --config <file>`. Prints one JSON line on stdout when all its queues are polled; logs go to
// stderr. SIGTERM and SIGINT end it gracefully: running copies are cancelled at a durable position and go on elsewhere.
import { parseArgs } from 'node:util';
import { HoldfastError } from '../domain/failures';
import { composeWorkers } from './compose';
import { loadConfig, type WorkerConfig } from './config';
import { createLog, type Log } from './logging';
import { installRuntime } from './runtime';

async function run(config: WorkerConfig, log: Log): Promise<void> {
  const composed = await composeWorkers(config, log);
  const runs = composed.workers.map((worker) => worker.run());
  const settled = Promise.allSettled(runs);
  process.stdout.write(`${JSON.stringify({ ready: true, pid: process.pid, queues: composed.queues })}\n`);
  try {
    await Promise.all(runs);
  } catch (error) {
    // One dead worker must not leave its siblings polling half an installation.
    for (const worker of composed.workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    throw error;
  } finally {
    await settled;
    await composed.close();
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (!values.config) {
    process.stderr.write('usage: holdfast-worker --config <file>\nSee docs/operators.md, "Configuration".\n');
    return 2;
  }
  try {
    const config = loadConfig(values.config);
    const log = createLog(config.log.level);
    installRuntime(log, config.metrics?.address);
    await run(config, log);
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof HoldfastError ? `${error.message} [${error.code}]` : String(error instanceof Error ? error.stack : error)}\n`);
    return 1;
  }
}

void main().then((code) => {
  process.exitCode = code;
});
