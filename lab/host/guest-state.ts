// The booted guest, saved: resuming it takes 0.2 s where a cold boot under TCG takes 3 s. Made once per make of machine
// (QEMU build, guest, arguments, accelerator), published by rename, so several labs may race for it.
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { AgentClient } from './agent-client';
import { identify, killAndWait } from './processes';
import { HostError } from './port';
import { launchQemu, machineArguments, qemuProgram, type Accelerator, type Launch, type Machine } from './qemu-command';
import { QmpClient } from './qmp-client';
import { isErrno, readJsonFile, writeJsonFile } from './state-file';
import { exists } from './storage';
import { runTool } from './tools';

const bootLimitMs = 120_000;
const probeLimitMs = 3_000;

const verdictSchema = z.object({ usable: z.boolean() });
const migrationSchema = z.object({ status: z.string().optional(), 'error-desc': z.string().optional() });

/** What a saved state, or a verdict about KVM, depends on. */
async function makeOf(machine: Machine): Promise<string> {
  const hash = createHash('sha256');
  hash.update(await runTool(qemuProgram, ['--version'], { timeoutMs: 30_000 }));
  hash.update(await fs.readFile(path.join(machine.guestDir, 'guest.json')));
  hash.update(machineArguments(machine).join('\0'));
  if (machine.accelerator === 'kvm') hash.update(os.release()).update(os.cpus()[0]?.model ?? '');
  return hash.digest('hex').slice(0, 16);
}

export async function ensureGuestState(machine: Machine, cacheDir: string): Promise<string> {
  const directory = path.join(cacheDir, 'guest-state', await makeOf(machine));
  const stateFile = path.join(directory, 'state');
  if (await exists(stateFile)) return stateFile;
  await withScratchVm(machine, path.dirname(directory), async ({ qmp, agent, scratch }) => {
    await untilAgentAnswers(agent);
    agent.close();
    await saveState(qmp, path.join(scratch, 'out', 'state'));
    await publish(path.join(scratch, 'out'), directory);
  });
  return stateFile;
}

/** Throws away a state that could not be resumed, so that the next start makes a new one. */
export async function dropGuestState(stateFile: string): Promise<void> {
  await fs.rm(path.dirname(stateFile), { recursive: true, force: true });
}

/**
 * Is KVM real? Opening /dev/kvm and creating a VM prove nothing (kvm_pvm does both and then crawls), so our own kernel is booted,
 * for three seconds at most. The verdict is cached.
 */
export async function chooseAccelerator(machine: Omit<Machine, 'accelerator'>, cacheDir: string): Promise<Accelerator> {
  try {
    await fs.access('/dev/kvm', fs.constants.R_OK | fs.constants.W_OK);
  } catch {
    return 'tcg';
  }
  const candidate: Machine = { ...machine, accelerator: 'kvm' };
  const directory = path.join(cacheDir, 'kvm-verdict');
  await fs.mkdir(directory, { recursive: true });
  const file = path.join(directory, `${await makeOf(candidate)}.json`);
  const known = await readJsonFile(file, verdictSchema);
  const usable = known?.usable ?? (await bootsQuickly(candidate, cacheDir));
  if (!known) await writeJsonFile(file, { usable });
  return usable ? 'kvm' : 'tcg';
}

async function bootsQuickly(machine: Machine, cacheDir: string): Promise<boolean> {
  try {
    return await withScratchVm(machine, path.join(cacheDir, 'guest-state'), async ({ consoleFile }) => {
      for (const deadline = Date.now() + probeLimitMs; Date.now() < deadline; ) {
        await sleep(50);
        if ((await fs.readFile(consoleFile, 'utf8').catch(() => '')).includes('LAB-GUEST-READY')) return true;
      }
      return false;
    });
  } catch {
    return false; // QEMU itself gave up on KVM
  }
}

interface ScratchVm {
  readonly scratch: string;
  readonly qmp: QmpClient;
  readonly agent: AgentClient;
  readonly consoleFile: string;
}

/** A cold-booted VM that ends with `work`. Its sockets live in a short temporary directory. */
async function withScratchVm<T>(machine: Machine, parent: string, work: (vm: ScratchVm) => Promise<T>): Promise<T> {
  await fs.mkdir(parent, { recursive: true });
  await clearDeadBuilds(parent);
  const scratch = path.join(parent, `.building-${process.pid}-${randomBytes(4).toString('hex')}`);
  await fs.mkdir(path.join(scratch, 'out'), { recursive: true });
  const run = await fs.mkdtemp(path.join(os.tmpdir(), 'hf-boot-'));
  await fs.symlink(run, path.join(scratch, 'run'));
  const launch: Launch = {
    machine,
    name: 'holdfast-guest-state',
    uuid: '00000000-0000-0000-0000-000000000000',
    sockets: { qmp: path.join(run, 'q'), observe: path.join(run, 'o'), agent: path.join(run, 'a') },
    consoleFile: path.join(scratch, 'console.log'),
    messagesFile: path.join(scratch, 'qemu.log'),
    pidFile: path.join(scratch, 'pid'),
  };
  const child = launchQemu(launch);
  const gone = new AbortController();
  child.once('exit', () => gone.abort());
  child.once('error', () => gone.abort());
  const identity = child.pid === undefined ? undefined : await identify(child.pid);
  const agent = new AgentClient(launch.sockets.agent, launch.name);
  let qmp: QmpClient | undefined;
  try {
    qmp = await QmpClient.connect(launch.sockets.qmp, { timeoutMs: 15_000, abort: gone.signal });
    return await work({ scratch, qmp, agent, consoleFile: launch.consoleFile });
  } catch (error) {
    const said = (await fs.readFile(launch.messagesFile, 'utf8').catch(() => '')).trim();
    throw new HostError('qemu-failed', `the lab's guest did not boot (${error instanceof Error ? error.message : String(error)}) ${said}`.trim());
  } finally {
    agent.close();
    qmp?.close();
    if (identity) await killAndWait(identity);
    await fs.rm(run, { recursive: true, force: true });
    await fs.rm(scratch, { recursive: true, force: true });
  }
}

/** A lab that was killed in the middle leaves its scratch VM running (QEMU outlives the lab by design) and its files. */
async function clearDeadBuilds(parent: string): Promise<void> {
  for (const name of await fs.readdir(parent)) {
    const builder = /^\.building-(\d+)-/.exec(name)?.[1];
    if (builder === undefined || (await identify(Number(builder)))) continue;
    const scratch = path.join(parent, name);
    const pid = Number(await fs.readFile(path.join(scratch, 'pid'), 'utf8').catch(() => '0'));
    const commandLine = pid > 0 ? await fs.readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') : '';
    const identity = commandLine.includes(scratch) ? await identify(pid) : undefined;
    if (identity) await killAndWait(identity);
    const run = await fs.readlink(path.join(scratch, 'run')).catch(() => '');
    if (path.basename(run).startsWith('hf-boot-')) await fs.rm(run, { recursive: true, force: true });
    await fs.rm(scratch, { recursive: true, force: true });
  }
}

async function untilAgentAnswers(agent: AgentClient): Promise<void> {
  for (const deadline = Date.now() + bootLimitMs; Date.now() < deadline; ) {
    if (await agent.answers(3_000)) return;
    await sleep(200);
  }
  throw new Error(`no guest agent within ${bootLimitMs / 1000} s`);
}

async function saveState(qmp: QmpClient, file: string): Promise<void> {
  await qmp.execute('stop');
  await qmp.execute('migrate-set-parameters', { 'max-bandwidth': 1 << 30 });
  await qmp.execute('migrate', { uri: `exec:cat > '${file.replaceAll("'", `'\\''`)}'` });
  for (;;) {
    const { status, 'error-desc': reason } = migrationSchema.parse(await qmp.execute('query-migrate'));
    if (status === 'completed') break;
    if (status === 'failed' || status === 'cancelled') throw new Error(`saving the guest's state ${status}: ${reason ?? 'no reason given'}`);
    await sleep(50);
  }
  const handle = await fs.open(file, 'r+');
  await handle.sync();
  await handle.close();
}

async function publish(from: string, target: string): Promise<void> {
  try {
    await fs.rename(from, target);
  } catch (error) {
    if (!isErrno(error, 'EEXIST', 'ENOTEMPTY')) throw error; // else another lab was first
  }
}
