// A real Temporal for tests: the dev server's binary on loopback ports, its data in memory (two thirds of the CPU of a file) or in a temporary
// file, with the search attributes of temporal-dev.yml. Needs nothing of jest. Workers and clients connect to `address`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { Connection } from '@temporalio/client';
import type { Settings } from '../../dev/parts/settings.mjs' with { 'resolution-mode': 'import' };
import { freePort } from './ports';

const startDeadlineMs = 60_000;

export interface TestTemporal {
  readonly address: string;
  readonly namespace: string;
  /** SIGKILL, as a crash would; data in a file stays. */
  kill(): Promise<void>;
  /** After `kill`: the same server again, with the same data, on the same port. */
  restart(): Promise<void>;
  /** Stops the server and removes its data. Safe to call twice. */
  stop(): Promise<void>;
}

export interface TemporalOptions {
  /** For `restart`. */
  readonly inFile?: boolean;
}

const namespace = 'default';

export async function startTemporal({ inFile = false }: TemporalOptions = {}): Promise<TestTemporal> {
  const directory = await mkdtemp(path.join(tmpdir(), 'holdfast-temporal-'));
  const port = await freePort();
  const start = (): Promise<() => Promise<void>> => startServer(inFile ? path.join(directory, 'temporal.db') : undefined, port);
  let kill = await start();
  return {
    address: `127.0.0.1:${port}`,
    namespace,
    kill: () => kill(),
    async restart() {
      if (!inFile) throw new Error('a Temporal in memory has forgotten everything: start it with inFile');
      kill = await start();
    },
    async stop() {
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function findBinary(): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
  const binary = process.env['HOLDFAST_TEMPORAL_CLI'] ?? path.join(cache, 'holdfast', 'temporal-1.5.1', 'temporal');
  if (!existsSync(binary)) throw new Error(`no Temporal dev server at ${binary}: run \`npm run setup\`, or name the binary in HOLDFAST_TEMPORAL_CLI`);
  return binary;
}

/** Returns what ends it. The server has no children, so SIGKILL leaves nothing but its file. */
async function startServer(databaseFile: string | undefined, port: number): Promise<() => Promise<void>> {
  const { readSettings, temporalArguments } = await import('../../dev/parts/settings.mjs');
  const usual = readSettings();
  // As the launcher starts it, without the UI.
  const settings = { ...usual, namespace, ports: { ...usual.ports, temporal: port } };
  const server = spawn(findBinary(), [...temporalArguments(settings, databaseFile, { flushes: false }), '--headless'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const remember = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-4000));
  server.stdout.on('data', remember);
  server.stderr.on('data', remember);
  // A test process that ends without `stop` (failed set-up, Ctrl-C) must not leave a server behind.
  const endWithUs = (): void => void server.kill('SIGKILL');
  process.once('exit', endWithUs);
  const running = (): boolean => server.exitCode === null && server.signalCode === null;
  const kill = async (): Promise<void> => {
    process.removeListener('exit', endWithUs);
    if (!running()) return;
    const gone = once(server, 'exit');
    server.kill('SIGKILL');
    await gone;
  };
  try {
    await untilServing(`127.0.0.1:${port}`, settings, running);
  } catch (error) {
    await kill();
    throw new Error(`Temporal did not start on port ${port}:\n${output}`, { cause: error });
  }
  return kill;
}

/** Serving means that the namespace answers, search attributes included: the port opens a little earlier. */
async function untilServing(address: string, { namespace, searchAttributes }: Settings, running: () => boolean): Promise<void> {
  const deadline = Date.now() + startDeadlineMs;
  for (;;) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: 5000 });
      try {
        const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
        if (searchAttributes.every((attribute) => (attribute.split('=')[0] ?? '') in customAttributes)) return;
        throw new Error(`namespace ${namespace} lacks Holdfast's search attributes`);
      } finally {
        await connection.close();
      }
    } catch (error) {
      if (!running() || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
