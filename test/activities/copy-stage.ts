// A repository, the fake engine and the real data daemon: image transfers whose tickets lead there, and attempts of a mover's copies. What the
// tests of copies share.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createMoverCopyActivities, type MoverCopyActivities } from '../../activities';
import type { ImageOfRun } from '../../activities/of-run';
import type { BackupRef, Repository } from '../../adapters/repository/port';
import type { DiskSettings } from '../../domain/disks';
import { independentDigests, useDirectory } from '../adapters/blocks/support';
import { newDisk, type Disk } from '../adapters/imageio/imageio.contract';
import { startRealDaemon, type RealDaemon } from '../adapters/imageio/real-daemon';
import type { StandTicket, TicketRequest } from '../adapters/imageio/stand';
import { factsOf, newRepository, ovf, settingsOf, unsealed } from '../adapters/repository/support';
import { FakeEngine } from '../fakes/fake-engine';
import { fakeDisk } from '../fakes/fake-world';

type Name = keyof MoverCopyActivities;
type Asked<N extends Name> = Parameters<MoverCopyActivities[N]>[0];
type Answer<N extends Name> = Awaited<ReturnType<MoverCopyActivities[N]>>;

export interface Attempt<T> {
  readonly answer: Promise<T>;
  readonly heartbeats: readonly object[];
  cancel(): void;
}

/** Nobody listens to the reports of a copy. */
const client = { withAbortSignal: (_: AbortSignal, work: () => unknown) => work(), workflow: { getHandle: () => ({ signal: () => Promise.resolve() }) } } as unknown as Client;

export class CopyStage {
  readonly engine = Object.assign(new FakeEngine(), { looks: 0 });
  readonly tickets: StandTicket[] = [];
  readonly vmId = randomUUID();
  readonly diskId = randomUUID();
  readonly runId = randomUUID();
  inactivityTimeoutSeconds = 600;

  constructor(
    private readonly daemon: RealDaemon,
    readonly repository: Repository,
    readonly path: string,
    readonly directory: string,
    readonly disk: Disk,
  ) {}

  get virtualBytes(): number {
    return this.disk.content.length;
  }
  get settings(): DiskSettings {
    return settingsOf(this.diskId, this.virtualBytes);
  }
  get rootOfDisk(): string {
    return independentDigests(this.disk.image, 'qcow2').root;
  }

  /** An image transfer whose ticket is at the real daemon. */
  async transfer(diskId: string, request: TicketRequest): Promise<{ readonly transferId: string; readonly ticket: StandTicket }> {
    const { engine } = this;
    const ticket = await this.daemon.ticket(request);
    this.tickets.push(ticket);
    engine.disks.set(diskId, fakeDisk('demo_Disk1', { settings: { diskId, virtualBytes: this.virtualBytes } }));
    const direction = request.op === 'read' ? 'download' : 'upload';
    const { id } = await engine.createTransfer({ diskId, direction, inactivityTimeoutSeconds: 60, timeoutPolicy: 'legacy', correlationId: randomUUID() });
    const { urlOf } = engine;
    engine.urlOf = (each) => (each.id === id ? ticket.transferUrl : urlOf(each));
    await engine.getTransfer(id);
    return { transferId: id, ticket };
  }
  download(more: Partial<TicketRequest> = {}): ReturnType<CopyStage['transfer']> {
    return this.transfer(this.diskId, { image: this.disk.image, op: 'read', ...more });
  }

  begin<N extends Name>(name: N, input: Asked<N>, heartbeatDetails?: object): Attempt<Answer<N>> {
    const activities = createMoverCopyActivities({
      repositoryOf: () => this.repository, engineOf: () => this.engine, now: () => new Date(), heartbeatMs: 50,
      imageioOf: () => ({ ...this.daemon.options, proxy: 'never', connections: 4, inactivityTimeoutSeconds: this.inactivityTimeoutSeconds }),
    });
    const environment = new MockActivityEnvironment({ heartbeatDetails }, { client, logger: new DefaultLogger('ERROR') });
    const heartbeats: object[] = [];
    environment.on('heartbeat', (details: object) => heartbeats.push(details));
    type Run = (asked: Asked<N>) => Promise<Answer<N>>;
    const answer = environment.run<[Asked<N>], Answer<N>, Run>(activities[name] as Run, input);
    return { answer, heartbeats, cancel: () => environment.cancel() };
  }
  attempt<N extends Name>(name: N, input: Asked<N>): Promise<Answer<N>> {
    return this.begin(name, input).answer;
  }

  image(backupId: string, changes: Partial<ImageOfRun> = {}): ImageOfRun {
    return { engine: 'lab', runId: this.runId, repository: 'primary', vmId: this.vmId, backupId, diskId: this.diskId, virtualBytes: this.virtualBytes, ...changes };
  }
  refOf(backupId: string): BackupRef {
    return { vmId: this.vmId, backupId };
  }
  imageFile(backupId: string): string {
    return join(this.path, 'vms', this.vmId, backupId, `${this.diskId}.qcow2`);
  }
  async newBackup(): Promise<string> {
    const backupId = randomUUID();
    await this.repository.saveConfiguration(this.refOf(backupId), ovf, [this.settings]);
    return backupId;
  }
  async sealed(backupId: string, baseBackupId: string | null, settings = this.settings): Promise<void> {
    const manifest = { ...unsealed({ ref: this.refOf(backupId), diskId: this.diskId, runId: this.runId }), method: 'transfer' as const };
    await this.repository.seal(this.refOf(backupId), baseBackupId === null ? manifest : { ...manifest, kind: 'incremental', base: { backupId: baseBackupId } }, [{ ...factsOf(this.diskId, this.virtualBytes), settings }], 'now');
  }
  /** The whole disk, sealed. */
  async fullBackup(settings = this.settings): Promise<string> {
    const backupId = await this.newBackup();
    const { transferId, ticket } = await this.download();
    await this.attempt('backupDiskByTransfer', { ...this.image(backupId), transferId, source: 'vm-backup-1', baseBackupId: null });
    await ticket.end();
    await this.sealed(backupId, null, settings);
    return backupId;
  }
}

/** A fresh one for each test; call it at the top of a file. */
export function useCopies(): () => CopyStage {
  const directory = useDirectory();
  let daemon: RealDaemon;
  let stage: CopyStage | undefined;
  beforeAll(async () => {
    daemon = await startRealDaemon(join(directory.path, 'd'));
  }, 120_000);
  afterAll(() => daemon.stop());
  beforeEach(async () => {
    const { repository, path } = await newRepository(directory.path);
    stage = new CopyStage(daemon, repository, path, directory.path, newDisk(directory.path));
  });
  afterEach(async () => {
    for (const ticket of stage?.tickets ?? []) await ticket.end();
  });
  return () => {
    if (!stage) throw new Error('no test has begun');
    return stage;
  };
}
