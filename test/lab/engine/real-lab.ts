// The engine over the real host, with the demo data center, inside the test's own process.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { startEngine, type Engine } from '../../../lab/engine';
import { makeDemo } from '../../../lab/engine/demo';
import { startImageio } from '../../../lab/imageio';
import { pythonOfSetup } from '../../support/python';
import { createFilesystemVolume, createHost, type LocalHost } from '../../../lab/host';

const run = promisify(execFile);
/** The first start on a machine boots the guest once to save its state. */
export const realLabDeadlineMs = 300_000;

export interface RealLab {
  readonly engine: Engine;
  readonly host: LocalHost;
  readonly directory: string;
  /** As the lab's program writes it. */
  readonly connectionFile: string;
  readonly remove: () => Promise<void>;
}

/** The cache is shared by all tests of a user: same place as dev/setup.mjs uses. */
export function cacheDirectory(): string {
  return process.env['HOLDFAST_CACHE'] ?? path.join(process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache'), 'holdfast');
}

/** `npm test` has built the guest and says where; a bare `npx jest` builds it here. */
export async function guestDirectory(): Promise<string> {
  const ready = process.env['HOLDFAST_GUEST'];
  if (ready !== undefined) return ready;
  // dev/ is plain ESM and jest runs CommonJS: a short-lived node bridges them.
  const module = pathToFileURL(path.resolve(__dirname, '../../../dev/guest.mjs')).href;
  const script = `import(${JSON.stringify(module)}).then((m) => m.ensureGuest({ cacheDir: process.argv[1] })).then((d) => console.log(d))`;
  return (await run(process.execPath, ['-e', script, cacheDirectory()], { timeout: realLabDeadlineMs })).stdout.trim();
}

export async function startRealLab(): Promise<RealLab> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'hf-real-'));
  const quiet = { info: () => undefined, warn: () => undefined };
  const qemuData = (process.env['HOLDFAST_QEMU_DATA'] ?? '').split(path.delimiter).filter((entry) => entry !== '');
  const fuse = process.env['HOLDFAST_FUSE'] === 'off' ? 'off' : 'auto';
  const host = createHost({
    stateDir: directory,
    guestDir: await guestDirectory(),
    cacheDir: cacheDirectory(),
    qemuData,
    fuse,
    log: quiet,
  });
  await host.start();
  const imageio = await startImageio({ stateDirectory: directory, python: await pythonOfSetup(), log: quiet });
  const engine = await startEngine({
    stateDirectory: directory,
    host,
    ...(imageio === undefined ? {} : { imageio }),
    port: 0,
    tokenIdleSeconds: 1800,
    log: () => undefined,
  });
  await makeDemo(engine.context, directory, (volume, source) => createFilesystemVolume(host, volume, source));
  const connectionFile = path.join(directory, 'connection.json');
  const [admin] = engine.accounts;
  await writeFile(
    connectionFile,
    JSON.stringify({ url: engine.url, username: admin?.userName, password: admin?.password, caFile: engine.caFile }),
  );
  const remove = async (): Promise<void> => {
    await engine.context.background.idle();
    await engine.close();
    await host.close({ stopVms: true });
    await imageio?.stop();
    await rm(directory, { recursive: true, force: true });
  };
  return { engine, host, directory, connectionFile, remove };
}

/** Waits for a state that the lab reaches by itself. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, deadlineMs = 60_000): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`timed out waiting for ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
}
