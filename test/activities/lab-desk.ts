// Activities against the lab's engine over HTTP, which has a fake host, with its faults at hand: a VM with one tracked disk, and a run on it.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createControlActivities, type ControlActivities } from '../../activities';
import type { TransferOfRun } from '../../activities/transfers';
import type { EndedVmBackup, EnsureVmBackupInput, ReadyVmBackup, VmBackupOfRun } from '../../activities/vm-backups';
import type { Catalog } from '../../adapters/catalog/port';
import { createEngine } from '../../adapters/ovirt/engine';
import { serveControl, type ControlServer } from '../../lab/control/server';
import { trackedVm } from '../lab/engine/backup-client';
import { ControlClient } from '../lab/engine/control-client';
import { Lab } from '../lab/engine/lab-client';
import { startCatalog, type TestCatalog } from '../support/catalog';
import { settings } from '../workflows/answers';

type Asked<Name extends keyof ControlActivities> = Parameters<ControlActivities[Name]>[0];
type Answer<Name extends keyof ControlActivities> = Awaited<ReturnType<ControlActivities[Name]>>;
export type Style = 'live' | 'hybrid';

type OwnVmBackup = VmBackupOfRun & { readonly vmBackupKey: string; readonly description: string };

const attempts = 30;
const pauseMs = 20;

export class LabDesk {
  readonly engine: ReturnType<typeof createEngine>;
  readonly control: ControlClient;
  vmId = '';
  diskId = '';
  readonly runId = randomUUID();
  private readonly activities: ControlActivities;
  private readonly ids = new Map<string, string>();

  private constructor(
    readonly lab: Lab,
    private readonly server: ControlServer,
    socket: string,
    private readonly catalog: Catalog,
  ) {
    this.control = new ControlClient(socket);
    this.engine = createEngine({ name: 'lab', url: `${lab.origin}/ovirt-engine/api`, caFile: lab.engine.caFile, username: 'admin@internal', password: () => Promise.resolve(lab.password('admin@internal')) });
    this.activities = createControlActivities({
      engineOf: () => this.engine, catalog, settingsOf: () => settings, vmObjectivesOf: () => [], isExecutionRunning: () => Promise.resolve(true),
      stillbornMs: 300, imageioOf: () => ({ proxy: 'when-needed', connections: 4, inactivityTimeoutSeconds: 600 }), copyLimitsOf: () => ({ copiesAtOnce: 4, copiesAtOncePerStorageDomain: 2, storageDomains: {} }),
    });
  }

  static async open(catalog: Catalog): Promise<LabDesk> {
    const lab = await Lab.start();
    const socket = join(lab.directory, 'control.sock');
    const desk = new LabDesk(lab, await serveControl(socket, lab.engine), socket, catalog);
    Object.assign(desk, await trackedVm(lab, 'guest', 'live'));
    await catalog.openRun({ runId: desk.runId, workflowId: `vm/lab/${desk.vmId}`, workflowType: 'backupVm', engine: 'lab', vmId: desk.vmId, vmName: 'guest' });
    return desk;
  }
  async close(): Promise<void> {
    await this.engine.close();
    await this.server.close();
    await this.lab.remove();
  }

  attempt<Name extends keyof ControlActivities>(name: Name, input: Asked<Name>): Promise<Answer<Name>> {
    type Run = (asked: Asked<Name>) => Promise<Answer<Name>>;
    return new MockActivityEnvironment(undefined, { logger: new DefaultLogger('ERROR') }).run<[Asked<Name>], Answer<Name>, Run>(this.activities[name] as Run, input);
  }
  /** As Temporal would, at once. */
  async retried<Name extends keyof ControlActivities>(name: Name, input: Asked<Name>): Promise<Answer<Name>> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.attempt(name, input);
      } catch (error) {
        if (tries === attempts || (error instanceof Error && 'nonRetryable' in error && error.nonRetryable === true)) throw error;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }

  newBackup(): OwnVmBackup {
    const vmBackupKey = randomUUID();
    return { engine: 'lab', runId: this.runId, vmId: this.vmId, vmBackupKey, description: `Holdfast backup ${vmBackupKey}` };
  }
  /** Quiescing that is required makes it live, anything else hybrid. */
  asked(of: OwnVmBackup, style: Style, more: Partial<EnsureVmBackupInput> = {}): EnsureVmBackupInput {
    return { ...of, diskIds: [this.diskId], fromCheckpointId: null, vmStatus: 'up', quiesce: style === 'live' ? 'required' : 'best-effort', ...more };
  }
  async start(of: OwnVmBackup, style: Style, more: Partial<EnsureVmBackupInput> = {}): Promise<ReadyVmBackup> {
    const ready = await this.retried('ensureVmBackup', this.asked(of, style, more));
    this.ids.set(of.vmBackupKey, ready.vmBackupId ?? '');
    return ready;
  }
  /** The engine's. */
  idOf({ vmBackupKey }: OwnVmBackup): string {
    return this.ids.get(vmBackupKey) ?? '';
  }
  end(of: OwnVmBackup, keepCheckpoint: boolean): Promise<EndedVmBackup> {
    return this.retried('ensureVmBackupEnded', { ...of, diskIds: [this.diskId], keepCheckpoint });
  }
  download(of: OwnVmBackup): TransferOfRun {
    return { engine: 'lab', runId: this.runId, diskId: this.diskId, vmId: this.vmId, vmBackupId: this.idOf(of), transferKey: randomUUID(), direction: 'download' };
  }
  async down(): Promise<void> {
    await this.engine.stopVm(this.vmId);
    while ((await this.engine.getVm(this.vmId))?.status !== 'down');
  }

  async checkpoints(): Promise<readonly string[]> {
    return (await this.engine.listCheckpoints(this.vmId)).map(({ id }) => id);
  }
  async openHoldings(): Promise<readonly string[]> {
    return (await this.catalog.listHoldings({ runId: this.runId })).filter(({ state }) => state === 'held').map(({ kind }) => kind);
  }
  /** Nothing of the run is left in the engine but these checkpoints. */
  async expectNothingBut(kept: readonly (string | null)[]): Promise<void> {
    await this.lab.idle();
    expect(await this.checkpoints()).toEqual(kept);
    expect(this.lab.engine.context.store.tables.operations.all()).toEqual([]);
    expect((await this.engine.listSnapshots(this.vmId)).filter(({ type }) => type === 'regular')).toEqual([]);
    expect((await this.engine.getDisk(this.diskId))?.status).toBe('ok');
    expect(await this.openHoldings()).toEqual([]);
  }
}

/** A fresh one for each test; call it at the top of a file. */
export function useLabDesk(): () => LabDesk {
  let started: TestCatalog;
  let desk: LabDesk | undefined;
  beforeAll(async () => {
    started = await startCatalog();
  }, 120_000);
  afterAll(() => started.stop());
  beforeEach(async () => {
    desk = await LabDesk.open(started.catalog);
  });
  afterEach(() => desk?.close());
  return () => {
    if (!desk) throw new Error('no test has begun');
    return desk;
  };
}
