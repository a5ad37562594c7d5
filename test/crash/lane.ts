// A lane: one place where one cell at a time runs. It has a Temporal namespace, a repository, workers and a source VM of its own; Temporal,
// PostgreSQL and the lab are everybody's, the appliance VM is when the lane asks for no other.
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { HoldfastClient } from '../../client';
import { configFileOf, type Stack, type WorkerConfigFile } from '../e2e/support/stack';
import { ask, makeVm, type EngineDisk, type TestVm } from '../e2e/support/vms';
import { changed } from './by-hand';
import { makeNamespace } from './namespace';
import { contentOf } from './outside';
import { repositoryName } from './runs';
import { Sources } from './sources';
import { faultFiles, firedSchema, type Fault, type Fired } from './worker/fault';
import { WorkerProcess } from './worker-process';

type Role = 'control' | 'mover' | 'appliance';
const allRoles: readonly Role[] = ['control', 'mover', 'appliance'];
/** Those that move data. */
const dataRoles: readonly Role[] = ['mover', 'appliance'];

interface Patience {
  readonly callSeconds: number;
  readonly heartbeatSeconds: number;
}

/** A worker that was killed in a call is missed after `callSeconds`, in a copy or a wait after `heartbeatSeconds`: short, so that a cell takes seconds. */
const impatient: Patience = { callSeconds: 6, heartbeatSeconds: 4 };
/** Nothing is taken for dead because it was held back. */
const patient: Patience = { callSeconds: 60, heartbeatSeconds: 20 };

type DataWorkers = readonly [WorkerProcess, WorkerProcess];

export interface LaneOptions {
  readonly makeSource?: typeof smallVm;
  /** For cells that count its bytes, or whose faults are about its calls alone. */
  readonly ownAppliance?: boolean;
  /** No worker of this lane is killed; its undos give up soon, so that a fault for ever is one that a test can wait for. */
  readonly engineFaults?: boolean;
  /** What moves data is a process of its own, beside the one for control, and a second one can take over. Elsewhere one process has all roles: a start of it costs little more than one for control alone. */
  readonly ownDataWorkers?: boolean;
}

const deadlines = { snapshotSeconds: 120, attachSeconds: 120, workerSeconds: 60, undoSeconds: 120, queueSeconds: 300 };
/** Each many times what the lab needs. */
const shortDeadlines = { ...deadlines, snapshotSeconds: 45, undoSeconds: 40 };

export class Lane {
  readonly sources = new Sources(this);

  private constructor(
    readonly stack: Stack,
    readonly name: string,
    readonly directory: string,
    readonly client: HoldfastClient,
    /** All roles; control alone where data workers are processes of their own. */
    readonly main: WorkerProcess,
    /** The second one is started when a copy is to be taken over by another process. */
    private readonly ownDataWorkers: DataWorkers | undefined,
    readonly applianceId: string,
    public vm: TestVm,
    readonly makeSource: typeof smallVm,
  ) {}

  static async open(stack: Stack, name: string, { makeSource = smallVm, ownAppliance = false, engineFaults = false, ownDataWorkers = false }: LaneOptions = {}): Promise<Lane> {
    const directory = path.join(stack.parts.state, 'lanes', name);
    await mkdir(path.join(directory, 'repository'), { recursive: true });
    await mkdir(path.join(directory, 'faults'));
    const namespace = `lane-${name}`;
    await makeNamespace(stack.parts.temporal.address, namespace);
    const client = await HoldfastClient.connect({ address: stack.parts.temporal.address, namespace });
    const applianceId = ownAppliance ? (await makeVm(stack, `appliance-${name}`, [], { start: true })).id : stack.applianceId;
    const settings = engineFaults ? { ...patient, deadlines: shortDeadlines } : { ...impatient, deadlines };
    const config = { ...configured(await embeddedConfig(stack, applianceId), namespace, directory), ...settings };
    const worker = async (as: string, roles: readonly Role[]): Promise<WorkerProcess> => {
      const configFile = path.join(directory, `worker-${as}.json`);
      await writeFile(configFile, JSON.stringify({ ...config, roles }), { mode: 0o600 });
      return new WorkerProcess({ name: `${name} ${as}`, configFile, faults: path.join(directory, 'faults'), logFile: path.join(directory, `worker-${as}.log`), env: stack.env });
    };
    const main = await worker('main', ownDataWorkers ? ['control'] : allRoles);
    const data = ownDataWorkers ? ([await worker('data', dataRoles), await worker('data-2', dataRoles)] as const) : undefined;
    return new Lane(stack, name, directory, client, main, data, applianceId, await makeSource(stack, `crash-${name}`), makeSource);
  }

  get repositoryPath(): string {
    return path.join(this.directory, 'repository');
  }

  private get faults(): ReturnType<typeof faultFiles> {
    return faultFiles(path.join(this.directory, 'faults'));
  }

  get workers(): readonly WorkerProcess[] {
    return [this.main, ...(this.ownDataWorkers ?? [])];
  }

  get dataWorkers(): DataWorkers {
    if (!this.ownDataWorkers) throw new Error(`lane ${this.name} has no data workers of its own`);
    return this.ownDataWorkers;
  }

  /** All queues are polled: what died in the last cell is started again, and what had taken over ends. */
  async revive(): Promise<void> {
    const [first, second] = this.ownDataWorkers ?? [];
    await second?.stop();
    await Promise.all([this.main, first].map(async (worker) => worker?.isRunning === false && worker.start()));
  }

  /** The worker for control tells each run how long to wait for a silent worker. */
  async bePatient(): Promise<void> {
    const { configFile } = this.main.place;
    const config = JSON.parse(await readFile(configFile, 'utf8')) as WorkerConfigFile;
    if (config['callSeconds'] === patient.callSeconds) return;
    await writeFile(configFile, JSON.stringify({ ...config, ...patient }));
    await this.main.stop();
    await this.main.start();
  }

  /** Takes away what the last cell wished, then wishes anew. */
  async wish(fault: Fault | undefined): Promise<void> {
    for (const file of Object.values(this.faults)) await rm(file, { force: true });
    if (fault) await writeFile(this.faults.fault, JSON.stringify(fault));
  }

  /** The VM's disks as the engine has them now: the same content under other ids. */
  async lookAgain(): Promise<void> {
    const disks = await this.disksNow();
    this.vm = { ...this.vm, disks: this.vm.disks.map((disk) => ({ ...disk, id: disks.find((each) => each.alias === disk.alias)?.id ?? disk.id })) };
  }

  /** And what they hold. */
  async reread(): Promise<void> {
    await this.lookAgain();
    const held = new Map<string, string>();
    for (const disk of await this.disksNow()) held.set(disk.id, await contentOf(this.stack, disk));
    this.vm = { ...this.vm, disks: this.vm.disks.map((disk) => ({ ...disk, root: held.get(disk.id) ?? disk.root })) };
  }

  /** The VM, which is down, has written since. */
  async change(): Promise<void> {
    await changed(this.stack, this.vm);
    await this.reread();
  }

  private async disksNow(): Promise<readonly EngineDisk[]> {
    const attached = await ask.attachments(this.stack, this.vm.id).catch(() => []);
    return (await Promise.all(attached.map(async ({ id }) => ask.disk(this.stack, id)))).filter((disk) => disk !== undefined);
  }

  async fired(): Promise<Fired | undefined> {
    return this.readFired('fired');
  }

  async held(): Promise<Fired | undefined> {
    return this.readFired('held');
  }

  async letGo(): Promise<void> {
    await writeFile(this.faults.letGo, '');
  }

  private async readFired(which: 'fired' | 'held'): Promise<Fired | undefined> {
    const text = await readFile(this.faults[which], 'utf8').catch(() => '');
    // Created before it is written: empty for a moment.
    return text === '' ? undefined : firedSchema.parse(JSON.parse(text));
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.stop()));
    await this.client.close();
  }
}

export function smallVm(stack: Stack, name: string): Promise<TestVm> {
  return makeVm(stack, name, [{ alias: `${name}_Disk1`, format: 'cow', sizeMib: 8, dataMib: 4, backup: 'incremental' }], { mac: macOfNobody() });
}

/** None of the engine's pool: when the VM is away, another lane's restored VM would get it. */
export function macOfNobody(): string {
  return `02:${randomBytes(5).toString('hex').replaceAll(/(..)(?=.)/g, '$1:')}`;
}

/** What the embedded workers are configured with, for all roles. */
async function embeddedConfig({ parts, applianceId }: Stack, ownApplianceId: string): Promise<WorkerConfigFile> {
  const read = async (role: 'control' | 'appliance'): Promise<WorkerConfigFile> => JSON.parse((await readFile(configFileOf(parts.state, role), 'utf8')).replaceAll(applianceId, ownApplianceId)) as WorkerConfigFile;
  return { ...(await read('appliance')), ...(await read('control')) };
}

function configured(base: WorkerConfigFile, namespace: string, directory: string): WorkerConfigFile {
  return {
    ...base,
    temporal: { ...(base['temporal'] as object), namespace },
    // All lanes are one engine's: a run that waits for another lane's takes a step more than the run whose steps are counted.
    engines: Object.fromEntries(Object.entries(base['engines'] as object).map(([name, engine]) => [name, { ...(engine as object), copiesAtOnce: 100, copiesAtOncePerStorageDomain: 100 }])),
    repositories: { [repositoryName]: { path: path.join(directory, 'repository') } },
    shutdownGraceSeconds: 2,
  };
}
