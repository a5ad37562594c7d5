// The embedded parts: Temporal, PostgreSQL, the lab and two workers as child processes of whoever calls. Nothing of the
// product is imported: programs are started and spoken to, as a stranger would.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLab, findAppliance, readConnection } from './parts/lab.mjs';
import { clearMarked } from './parts/marked.mjs';
import { createPostgres } from './parts/postgres.mjs';
import { choosePorts, readSettings } from './parts/settings.mjs';
import { partsFile, readParts, stateDirectory } from './parts/state.mjs';
import { createTemporal } from './parts/temporal.mjs';
import { createWorker, repositoryName, repositoryOf, engineName, writeWorkerConfigs } from './parts/workers.mjs';
import { Problem, tryLock } from './setup/shell.mjs';

export const allParts = ['temporal', 'postgres', 'lab', 'workers'];
const portsOf = { temporal: ['temporal', 'temporalUi'], postgres: ['postgres'], lab: ['lab'], workers: [] };

async function takeState(state, say) {
  mkdirSync(state, { recursive: true, mode: 0o755 });
  const lock = await tryLock(join(state, 'lock'));
  if (!lock) {
    const pid = readParts(state)?.launcherPid;
    throw new Problem(`the parts of ${state} are running already${pid ? ` (launcher: pid ${pid})` : ''}`, `stop them first: node dev/up.mjs --stop --state ${state}`);
  }
  // What a killed launcher left is ending by itself (pdeathsig). QEMU and the data daemon are not our children: the lab adopts them or ends them.
  const isOurs = ({ command }) => !/(^|\/)qemu-/.test(command.split(' ')[0]) && !/\/ovirt-imageio( |$)/.test(command);
  for (const { part, pid } of await clearMarked(state, { graceSeconds: 40, concerns: isOurs })) say(`killed a ${part} (pid ${pid}) that an earlier launcher had left`);
  rmSync(partsFile(state), { force: true });
  return lock;
}

class Parts {
  #running = [];
  #stopped;

  constructor({ state, lock, say }) {
    Object.assign(this, { state, lock, say });
  }

  /** Registers the part before it is started, so that a failing start is stopped with the others. */
  async run(part) {
    this.#running.push(part);
    return part.start();
  }

  /** One part by name (temporal, postgres, lab, worker-control, worker-appliance): pid, crash(signal), start(), stop(). */
  part(name) {
    const found = this.#running.find((part) => part.name === name);
    if (!found) throw new Error(`there is no part ${name}; there are: ${this.#running.map((part) => part.name).join(', ')}`);
    return found;
  }

  /** Ends everything, newest first; returns what had outlived its part and had to be killed. */
  stop() {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  async #stopAll() {
    for (const group of [['worker-control', 'worker-appliance'], ['lab'], ['temporal', 'postgres']]) {
      await Promise.all(this.#running.filter((part) => group.includes(part.name)).map((part) => part.stop()));
    }
    const outlived = await clearMarked(this.state, { graceSeconds: 3 });
    for (const { part, pid, command } of outlived) this.say(`killed what ${part} left behind: pid ${pid}, ${command.slice(0, 120)}`);
    rmSync(partsFile(this.state), { force: true });
    await this.lock.release();
    return outlived;
  }
}

/**
 * @param {{ state?: string, only?: string[], ports?: 'auto'|'file'|'free', setup: object, say?: (line: string) => void, restart?: boolean, flushes?: boolean, forgets?: boolean,
 *   settingsFile?: string, programs?: { lab?: string, worker?: string } }} options `setup` is what setup() returned; without `flushes` Temporal survives its own
 *   death, and not the machine's; one that `forgets` survives none, at two thirds of the CPU: for tests that do not end it
 */
export async function startParts({ state: named, only = allParts, ports = 'auto', setup, say = () => {}, restart = true, flushes = true, forgets = false, settingsFile, programs = {} }) {
  const state = stateDirectory(named);
  const file = readSettings(settingsFile);
  const lock = await takeState(state, say);
  const parts = new Parts({ state, lock, say });
  try {
    const settings = { ...file, ports: await choosePorts(file.ports, ports, say, only.flatMap((name) => portsOf[name])) };
    const common = { state, settings, env: setup.env, say, restart, flushes, forgets, cacheDir: setup.cacheDir, guestDir: setup.guestDir, temporalCli: setup.temporalCli };
    // The lab's engine has a database, too, and connects to it when it is there.
    const postgres = only.includes('postgres') ? await createPostgres(common) : undefined;
    const labOptions = { ...common, program: programs.lab, engineDatabaseUrl: postgres?.engineDatabaseUrl };
    const starters = { temporal: () => startTemporal(parts, common), postgres: () => startPostgres(parts, postgres), lab: () => startLab(parts, labOptions) };
    const started = await together(Object.entries(starters).filter(([name]) => only.includes(name)).map(([, start]) => start()));
    if (only.includes('workers')) await startWorkers(parts, common, started, programs.worker);
    const description = { ...started, state, repository: { name: repositoryName, path: repositoryOf(state) } };
    // The URL holds the password: others find it in catalogUrlFile (0600). JSON leaves out what is undefined.
    writeFileSync(partsFile(state), `${JSON.stringify({ launcherPid: process.pid, ...description, postgresUrl: undefined }, undefined, 2)}\n`);
    return Object.assign(parts, description);
  } catch (error) {
    await parts.stop();
    throw error;
  }
}

/** All of them come to their end before the first failure is thrown: nothing may still be starting while the rest is stopped. */
async function together(starting) {
  const outcomes = await Promise.allSettled(starting);
  const failed = outcomes.find(({ status }) => status === 'rejected');
  if (failed) throw failed.reason;
  return Object.assign({}, ...outcomes.map(({ value }) => value));
}

async function startTemporal(parts, common) {
  const { part, ...temporal } = createTemporal(common);
  await parts.run(part);
  return { temporal };
}

async function startPostgres(parts, { part, url, urlFile, engineReaderUrlFile }) {
  await parts.run(part);
  return { postgresUrl: url, catalogUrlFile: urlFile, engineReaderUrlFile };
}

async function startLab(parts, options) {
  const { part, connectionFile } = createLab(options);
  const ready = await parts.run(part);
  return { lab: { name: engineName, url: ready.url, connectionFile, controlSocket: readConnection(options.state).controlSocket } };
}

async function startWorkers(parts, common, { temporal, catalogUrlFile, lab }, program) {
  if (!temporal || !catalogUrlFile || !lab) throw new Problem('the workers need Temporal, PostgreSQL and the lab', `start all of: ${allParts.join(', ')}`);
  const connection = readConnection(common.state);
  const files = writeWorkerConfigs({ state: common.state, temporal, catalogUrlFile, connection, appliance: await findAppliance(connection) });
  await together(Object.entries(files).map(([name, configFile]) => parts.run(createWorker({ ...common, name, configFile, program }))));
}
