// Everything real for one test file: Temporal, PostgreSQL, the lab and the workers through dev/parts.mjs, in a state directory of its own
// that is gone afterwards. Every test ends with the outside look; runs that a failed test left open are cancelled first.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { LabUser } from '../../../dev/main-job/lab-user.mjs' with { 'resolution-mode': 'import' };
import type { PartName, RunningParts } from '../../../dev/parts.mjs' with { 'resolution-mode': 'import' };
import type { SetupResult } from '../../../dev/setup.mjs' with { 'resolution-mode': 'import' };
import { HoldfastClient, type BackupHandle, type RestoreHandle } from '../../../client';
import { expectNothingLeft } from '../../support/leftovers';

const run = promisify(execFile);

export type WorkerConfigFile = Record<string, unknown>;

export interface StackOptions {
  /** More environment for the parts. */
  readonly env?: Readonly<Record<string, string>>;
  /** Temporal's data lies in memory: cheaper, for tests that do not end it. */
  readonly temporalForgets?: boolean;
  /** Changes a worker's configuration before the tests begin; the worker is then started once more. */
  readonly configure?: Partial<Record<'control' | 'appliance', (config: WorkerConfigFile) => WorkerConfigFile>>;
}

export interface Stack {
  readonly parts: RunningParts;
  readonly client: HoldfastClient;
  readonly lab: LabUser;
  /** The environment in which Debian's programs are found. */
  readonly env: NodeJS.ProcessEnv;
  readonly engine: string;
  readonly repository: string;
  readonly applianceId: string;
  readonly labState: string;
  /** VMs that are a test's product: they may carry Holdfast's mark. */
  readonly keptVmIds: Set<string>;
  /** Looked at when a test ends. */
  readonly repositoryPaths: Set<string>;
  /** Done when the test has ended, newest first, whatever came of it: one test's trouble is not the next one's. */
  afterwards(work: () => Promise<unknown>): void;
  /** A run that must have ended before the next test begins. */
  track<Handle extends BackupHandle | RestoreHandle>(handle: Handle): Handle;
  pidOf(part: PartName): number;
}

/** The first start on a machine boots the lab's guest once to save its state. */
const startLimitMs = 420_000;
const stopLimitMs = 120_000;
const openRunLimitMs = 90_000;

let shared: (() => OwnedStack) | undefined;

/** Brings the stack up before all tests of the file, or of the suite in a file that shares one, and takes it down after them; call it at the top. */
export function useStack(options: StackOptions = {}): () => Stack {
  const stackOf = shared ? useShared(shared, options) : openStack(options);
  afterEach(async () => { await stackOf().endTest(); }, openRunLimitMs + 30_000);
  return stackOf;
}

/** For a file of several suites: a stack costs twelve seconds of a core, most of what a suite asks of it less. */
export function shareStack(options: Pick<StackOptions, 'env' | 'temporalForgets'>): void {
  shared = openStack(options);
}

function openStack(options: StackOptions): () => OwnedStack {
  let stack: OwnedStack | undefined;
  beforeAll(async () => { stack = await startStack(options); }, startLimitMs);
  afterAll(async () => { await stack?.stop(); }, stopLimitMs);
  return () => {
    if (!stack) throw new Error('the stack did not come up');
    return stack;
  };
}

/** The next suite finds none of this one's VMs; how its workers are configured is its own business. */
function useShared(stackOf: () => OwnedStack, { env = {}, configure = {} }: StackOptions): () => OwnedStack {
  let others: ReadonlySet<string> = new Set();
  beforeAll(async () => {
    const { lab, parts, env: given } = stackOf();
    for (const [name, value] of Object.entries(env)) if (given[name] !== value) throw new Error(`the suite wants ${name}, and the stack that it shares was started without it`);
    others = new Set(await vmIds(lab));
    await configureWorkers(parts, configure);
  }, startLimitMs);
  afterAll(async () => {
    const { lab } = stackOf();
    for (const vmId of await vmIds(lab)) if (!others.has(vmId)) await removeVm(lab, vmId);
  }, startLimitMs);
  return stackOf;
}

async function vmIds(lab: LabUser): Promise<readonly string[]> {
  const { vm = [] } = (await lab.engine('GET', '/vms')) as { readonly vm?: readonly { readonly id: string }[] };
  return vm.map(({ id }) => id);
}

/** Tests leave VMs in every state; one that cannot be removed is down at least, and in nobody's way. */
async function removeVm(lab: LabUser, vmId: string): Promise<void> {
  await lab.bring(vmId, 'down');
  await lab.removeWithDisks(vmId).catch((error: unknown) => console.warn(`VM ${vmId} stays for the next suite: ${String(error)}`));
}

interface OwnedStack extends Stack {
  endTest(): Promise<void>;
  stop(): Promise<void>;
}

/** In a node of its own: set-up is plain ESM with top-level await, and jest runs CommonJS. */
export async function setUp(): Promise<SetupResult> {
  const module = pathToFileURL(path.resolve(__dirname, '../../../dev/setup.mjs')).href;
  const script = `import { setup } from ${JSON.stringify(module)}; console.log('\\n' + JSON.stringify(await setup({ say: () => undefined })));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], { env: process.env, timeout: startLimitMs, maxBuffer: 16 * 1024 ** 2 });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as SetupResult;
}

async function startStack({ env = {}, configure = {}, temporalForgets = false }: StackOptions): Promise<OwnedStack> {
  const { startParts } = await import('../../../dev/parts.mjs');
  const { labUser } = await import('../../../dev/main-job/lab-user.mjs');
  const ready = await setUp();
  const state = await mkdtemp(path.join(tmpdir(), 'hf-e2e-'));
  const partsEnv = { ...ready.env, ...env };
  // A part that dies by itself is what a test arranged; only the test starts it again.
  const parts = await startParts({ setup: { ...ready, env: partsEnv }, state, ports: 'free', restart: false, flushes: false, forgets: temporalForgets }).catch(async (error: unknown) => {
    await rm(state, { recursive: true, force: true });
    throw error;
  });
  const stop = async (): Promise<void> => {
    const outlived = await parts.stop();
    try {
      await expectGone(state);
    } finally {
      await rm(state, { recursive: true, force: true });
    }
    expect(outlived).toEqual([]);
  };
  try {
    await configureWorkers(parts, configure);
    const client = await HoldfastClient.connect({ address: parts.temporal.address, namespace: parts.temporal.namespace });
    const lab = labUser(parts.lab.connectionFile);
    const applianceId = (await lab.findVm('appliance'))?.id ?? '';
    const common = { parts, client, lab, env: partsEnv, engine: parts.lab.name, repository: parts.repository.name, applianceId, labState: path.join(state, 'lab') };
    return ownedStack(common, async () => {
      await client.close();
      await stop();
    });
  } catch (error) {
    await stop();
    throw error;
  }
}

type CommonStack = Pick<Stack, 'parts' | 'client' | 'lab' | 'env' | 'engine' | 'repository' | 'applianceId' | 'labState'>;

function ownedStack(common: CommonStack, stop: () => Promise<void>): OwnedStack {
  const { parts, labState, applianceId } = common;
  const open = new Set<BackupHandle | RestoreHandle>();
  const keptVmIds = new Set<string>();
  const repositoryPaths = new Set([parts.repository.path]);
  const cleanups: (() => Promise<unknown>)[] = [];
  return {
    ...common,
    keptVmIds,
    repositoryPaths,
    stop,
    afterwards(work) {
      cleanups.push(work);
    },
    track(handle) {
      open.add(handle);
      return handle;
    },
    pidOf(part) {
      const { pid } = parts.part(part);
      if (pid === undefined) throw new Error(`${part} does not run`);
      return pid;
    },
    async endTest() {
      for (const handle of open) await endRun(handle);
      open.clear();
      for (let cleanup = cleanups.pop(); cleanup; cleanup = cleanups.pop()) await cleanup();
      await expectNothingLeft({ labState, connectionFile: parts.lab.connectionFile, repositories: [...repositoryPaths], applianceIds: [applianceId], keptVmIds: [...keptVmIds], withinMs: 10_000 });
    },
  };
}

/** A run that nobody waited for: its own failure is another test's business, its traces are not. */
async function endRun(handle: BackupHandle | RestoreHandle): Promise<void> {
  const { status } = await handle.status();
  if (status !== 'RUNNING') return;
  await handle.cancel().catch(() => undefined);
  await Promise.race([handle.result().catch(() => undefined), sleep(openRunLimitMs, undefined, { ref: false })]);
}

/** How a worker was configured before suites changed it, by its file. */
const ownConfigs = new Map<string, string>();

/** As this suite wants them; a worker that an earlier suite of the file changed, and this one does not, gets its own configuration back. Each starts once at most: that is two seconds of a core. */
async function configureWorkers(parts: RunningParts, configure: NonNullable<StackOptions['configure']>): Promise<void> {
  await Promise.all((['control', 'appliance'] as const).map(async (name) => {
    const file = configFileOf(parts.state, name);
    const now = await readFile(file, 'utf8');
    const own = ownConfigs.get(file) ?? now;
    ownConfigs.set(file, own);
    const wanted = configure[name] ? JSON.stringify(configure[name](JSON.parse(own) as WorkerConfigFile)) : own;
    if (wanted !== now) await restartWith(parts, name, wanted);
  }));
}

async function restartWith(parts: RunningParts, name: 'control' | 'appliance', config: string): Promise<void> {
  const part = parts.part(`worker-${name}`);
  await part.stop();
  await writeFile(configFileOf(parts.state, name), config);
  await part.start();
}

export const configFileOf = (state: string, worker: 'control' | 'appliance'): string => path.join(state, `worker-${worker}.json`);

/** Nothing that names the state directory runs or is mounted any more. */
export async function expectGone(state: string): Promise<void> {
  const { markedProcesses } = await import('../../../dev/parts/marked.mjs');
  expect(markedProcesses(state)).toEqual([]);
  expect(await processesNaming(state)).toEqual([]);
  expect((await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line.includes(`${state}/`))).toEqual([]);
}

async function processesNaming(state: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid))) {
    const commandLine = existsSync(`/proc/${pid}/cmdline`) ? await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') : '';
    if (commandLine.includes(state)) found.push(`${pid} ${commandLine.replaceAll('\0', ' ')}`);
  }
  return found;
}
