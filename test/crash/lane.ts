// A lane: one place where one cell at a time runs. It has a Temporal namespace, a repository, a control worker, an appliance worker and a
// source VM of its own; Temporal, PostgreSQL and the lab are everybody's, the appliance VM is when the lane asks for no other.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { HoldfastClient } from '../../client';
import { configFileOf, type Stack, type WorkerConfigFile } from '../e2e/support/stack';
import { ask, makeVm, type TestVm } from '../e2e/support/vms';
import { makeNamespace } from './namespace';
import { faultFiles, firedSchema, type Fault, type Fired } from './worker/fault';
import { WorkerProcess } from './worker-process';

export const repositoryName = 'crash';
/** Two worker kinds, as installed: control and mover together, and the one in the appliance. */
type Role = 'control' | 'appliance';

interface Patience {
  readonly callSeconds: number;
  readonly heartbeatSeconds: number;
}

/** A worker that was killed in a call is missed after `callSeconds`, in a copy or a wait after `heartbeatSeconds`: short, so that a cell takes seconds. */
const impatient: Patience = { callSeconds: 6, heartbeatSeconds: 4 };
/** Nothing is taken for dead because it was held back. */
const patient: Patience = { callSeconds: 60, heartbeatSeconds: 20 };

export interface LaneOptions {
  readonly makeSource?: typeof smallVm;
  /** For cells that count its bytes, or whose faults are about its calls alone. */
  readonly ownAppliance?: boolean;
  /** No worker of this lane is killed; its undos give up soon, so that a fault for ever is one that a test can wait for. */
  readonly engineFaults?: boolean;
}

const deadlines = { snapshotSeconds: 120, attachSeconds: 120, workerSeconds: 60, undoSeconds: 120, queueSeconds: 300 };
/** Each many times what the lab needs. */
const shortDeadlines = { ...deadlines, snapshotSeconds: 45, undoSeconds: 40 };

export class Lane {
  private constructor(
    readonly stack: Stack,
    readonly name: string,
    readonly directory: string,
    readonly client: HoldfastClient,
    readonly control: WorkerProcess,
    /** The second one is started when a copy is to be taken over by another process. */
    readonly appliances: readonly [WorkerProcess, WorkerProcess],
    readonly applianceId: string,
    public vm: TestVm,
    readonly makeSource: typeof smallVm,
  ) {}

  static async open(stack: Stack, name: string, { makeSource = smallVm, ownAppliance = false, engineFaults = false }: LaneOptions = {}): Promise<Lane> {
    const directory = path.join(stack.parts.state, 'lanes', name);
    await mkdir(path.join(directory, 'repository'), { recursive: true });
    await mkdir(path.join(directory, 'faults'));
    const namespace = `lane-${name}`;
    await makeNamespace(stack.parts.temporal.address, namespace);
    const client = await HoldfastClient.connect({ address: stack.parts.temporal.address, namespace });
    const applianceId = ownAppliance ? (await makeVm(stack, `appliance-${name}`, [], { start: true })).id : stack.applianceId;
    const settings = engineFaults ? { ...patient, deadlines: shortDeadlines } : { ...impatient, deadlines };
    const worker = async (role: Role, copy = ''): Promise<WorkerProcess> => {
      const configFile = path.join(directory, `worker-${role}.json`);
      const base = JSON.parse((await readFile(configFileOf(stack.parts.state, role), 'utf8')).replaceAll(stack.applianceId, applianceId)) as WorkerConfigFile;
      await writeFile(configFile, JSON.stringify({ ...configured(base, namespace, directory), ...settings }), { mode: 0o600 });
      return new WorkerProcess({ name: `${name} ${role}${copy}`, configFile, faults: path.join(directory, 'faults'), logFile: path.join(directory, `worker-${role}${copy}.log`), env: stack.env });
    };
    return new Lane(stack, name, directory, client, await worker('control'), [await worker('appliance'), await worker('appliance', '-2')], applianceId, await makeSource(stack, `crash-${name}`), makeSource);
  }

  get repositoryPath(): string {
    return path.join(this.directory, 'repository');
  }

  get workers(): readonly WorkerProcess[] {
    return [this.control, ...this.appliances];
  }

  /** Both workers poll: what died in the last cell is started again, and what had taken over ends. */
  async revive(): Promise<void> {
    await this.appliances[1].stop();
    await Promise.all([this.control, this.appliances[0]].filter((worker) => !worker.isRunning).map((worker) => worker.start()));
  }

  /** The control worker tells each run how long to wait for a silent worker. */
  async bePatient(): Promise<void> {
    const { configFile } = this.control.place;
    const config = JSON.parse(await readFile(configFile, 'utf8')) as WorkerConfigFile;
    if (config['callSeconds'] === patient.callSeconds) return;
    await writeFile(configFile, JSON.stringify({ ...config, ...patient }));
    await this.control.stop();
    await this.control.start();
  }

  /** Takes away what the last cell wished, then wishes anew. */
  async wish(fault: Fault | undefined): Promise<void> {
    const files = faultFiles(path.join(this.directory, 'faults'));
    for (const file of Object.values(files)) await rm(file, { force: true });
    if (fault) await writeFile(files.fault, JSON.stringify(fault));
  }

  /** The VM's disks as the engine has them now: the same content under other ids. */
  async lookAgain(): Promise<void> {
    const disks = await Promise.all((await ask.attachments(this.stack, this.vm.id).catch(() => [])).map(async ({ id }) => ask.disk(this.stack, id)));
    this.vm = { ...this.vm, disks: this.vm.disks.map((disk) => ({ ...disk, id: disks.find((each) => each?.alias === disk.alias)?.id ?? disk.id })) };
  }

  async fired(): Promise<Fired | undefined> {
    return this.readFired('fired');
  }

  async held(): Promise<Fired | undefined> {
    return this.readFired('held');
  }

  async letGo(): Promise<void> {
    await writeFile(faultFiles(path.join(this.directory, 'faults')).letGo, '');
  }

  private async readFired(which: 'fired' | 'held'): Promise<Fired | undefined> {
    const text = await readFile(faultFiles(path.join(this.directory, 'faults'))[which], 'utf8').catch(() => '');
    // Created before it is written: empty for a moment.
    return text === '' ? undefined : firedSchema.parse(JSON.parse(text));
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.stop()));
    await this.client.close();
  }
}

export function smallVm(stack: Stack, name: string): Promise<TestVm> {
  return makeVm(stack, name, [{ alias: `${name}_Disk1`, format: 'cow', sizeMib: 8, dataMib: 4 }]);
}

function configured(base: WorkerConfigFile, namespace: string, directory: string): WorkerConfigFile {
  return {
    ...base,
    temporal: { ...(base['temporal'] as object), namespace },
    // All lanes are one engine's: a run that waits for another lane's takes a step more than the run whose steps are counted.
    ...(base['engines'] === undefined ? {} : { engines: Object.fromEntries(Object.entries(base['engines'] as object).map(([name, engine]) => [name, { ...(engine as object), copiesAtOnce: 100, copiesAtOncePerStorageDomain: 100 }])) }),
    repositories: { [repositoryName]: { path: path.join(directory, 'repository') } },
    shutdownGraceSeconds: 2,
  };
}
