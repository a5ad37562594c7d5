// The lab as a program: host, engine and control port on one state directory. May be killed and started again there.
// Prints one line of JSON on stdout when it serves; its log goes to stderr.
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import pino from 'pino';
import { z } from 'zod';
import { ConfigError, readConfig, type LabConfig } from './config';
import { serveControl } from './control/server';
import { startEngine, type Engine } from './engine';
import { makeDemo } from './engine/demo';
import { PostgresEngineDatabase } from './engine-database/engine-database';
import { createFilesystemVolume, createHost, type LocalImageioDaemon } from './host';
import { startImageio } from './imageio';

const connectionFile = 'connection.json';
/** A unix socket's path has to fit into 108 bytes; some room is left for whoever connects through a longer name. */
const longestSocketPath = 100;

async function main(): Promise<void> {
  const config = readConfig(process.argv.slice(2));
  const { stateDirectory } = config;
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const log = pino({ name: 'lab' }, pino.destination(2));
  const { guestDirectory: guestDir, cacheDirectory: cacheDir, qemuData, fuse } = config;
  const host = createHost({ stateDir: stateDirectory, guestDir, cacheDir, qemuData, fuse, log });
  await host.start();
  const imageio = await startImageio({ stateDirectory, python: config.python, log });
  const database = config.engineDatabase === undefined ? undefined : new PostgresEngineDatabase(config.engineDatabase, (line) => {
    log.info(line);
  });
  database?.start();
  const engine = await startEngine({
    stateDirectory,
    host,
    ...(imageio === undefined ? {} : { imageio }),
    ...(database === undefined ? {} : { database }),
    settings: { detachWipesTracking: config.detachWipesTracking },
    port: await choosePort(config),
    tokenIdleSeconds: config.tokenIdleSeconds,
    log: (line) => {
      log.info(line);
    },
  });
  const controlSocket = controlPath(stateDirectory);
  const control = await serveControl(controlSocket, engine);
  if (config.demo) await makeDemo(engine.context, stateDirectory, (volume, source) => createFilesystemVolume(host, volume, source));
  await writeConnection(stateDirectory, engine, controlSocket, imageio);
  const stop = once(async () => {
    await control.close();
    await engine.close();
    await database?.close();
    await host.close({ stopVms: config.stopVmsOnExit });
    await (config.stopVmsOnExit ? imageio?.stop() : imageio?.release());
    process.exit(0);
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop);
  process.stdout.write(`${JSON.stringify({ ready: true, url: engine.url })}\n`);
}

function once(action: () => Promise<void>): () => void {
  let called = false;
  return () => {
    if (called) return;
    called = true;
    action().catch(fail);
  };
}

/** Without a wish the lab stays where it was, so that a restart does not strand its clients. */
async function choosePort({ port, stateDirectory }: LabConfig): Promise<number> {
  const file = path.join(stateDirectory, connectionFile);
  if (port !== 0 || !existsSync(file)) return port;
  const before = z.object({ url: z.url() }).safeParse(JSON.parse(readFileSync(file, 'utf8')));
  const last = before.success ? Number(new URL(before.data.url).port) : 0;
  return (await isFree(last)) ? last : 0;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => {
      resolve(false);
    });
    probe.listen(port, '127.0.0.1', () => {
      probe.close(() => {
        resolve(true);
      });
    });
  });
}

function controlPath(stateDirectory: string): string {
  const wished = path.join(stateDirectory, 'control.sock');
  if (Buffer.byteLength(wished) <= longestSocketPath) return wished;
  return path.join(os.tmpdir(), `lab-${createHash('sha256').update(stateDirectory).digest('hex').slice(0, 16)}.sock`);
}

async function writeConnection(stateDirectory: string, engine: Engine, controlSocket: string, imageio: LocalImageioDaemon | undefined): Promise<void> {
  const [admin, ...limited] = engine.accounts;
  const connection = {
    url: engine.url,
    username: admin?.userName,
    password: admin?.password,
    caFile: engine.caFile,
    controlSocket,
    // Several labs share a machine, so none has the real port; an engine's operators know theirs from engine-config.
    ...(imageio === undefined ? {} : { imageioPort: Number(new URL(imageio.address().url).port) }),
    limitedUsers: limited.map(({ userName, password }) => ({ username: userName, password })),
  };
  const temporary = path.join(stateDirectory, `${connectionFile}.tmp`);
  await writeFile(temporary, `${JSON.stringify(connection, null, 2)}\n`, { mode: 0o600 });
  await rename(temporary, path.join(stateDirectory, connectionFile));
}

function fail(error: unknown): void {
  const text =
    error instanceof ConfigError || !(error instanceof Error)
      ? String(error instanceof Error ? error.message : error)
      : (error.stack ?? error.message);
  process.stderr.write(`lab: ${text}\n`);
  process.exit(1);
}

main().catch(fail);
