// The doctor, `status` and `holdings` over the whole stack: nothing is wrong with the embedded parts, and each thing that is then broken is
// found, by its own check and in words that name it.
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createControlDoctor, type ControlDoctor, type ControlExamination } from '../../activities/doctor';
import { createCatalog } from '../../adapters/catalog/catalog';
import { createEngine } from '../../adapters/ovirt/engine';
import { checkIds, type Check, type CheckId } from '../../domain/doctor/checks';
import type { RunDoctorRequest } from '../../domain/flows/doctor';
import type { Status } from '../../client/cli/commands/status';
import { exitCodes } from '../../client/cli/exit-codes';
import { runCli, until } from '../client/harness';
import { sometimes } from '../support/sometimes';
import { useStack } from './support/stack';

const stack = useStack();

interface Connection {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  readonly caFile: string;
  readonly limitedUsers: readonly { readonly username: string; readonly password: string }[];
}

const doctor = async (request: RunDoctorRequest = {}): Promise<readonly Check[]> => (await stack().client.runDoctor(request)).checks;
const found = (checks: readonly Check[], id: CheckId): Check | undefined => checks.find((check) => check.id === id);
const verdictsOf = (checks: readonly Check[], ...ids: readonly CheckId[]): readonly (string | undefined)[] => ids.map((id) => found(checks, id)?.verdict);
const cli = (...argv: readonly string[]): ReturnType<typeof runCli> => runCli([...argv, '--address', stack().parts.temporal.address, '--namespace', stack().parts.temporal.namespace]);
const connection = (): Connection => JSON.parse(readFileSync(stack().parts.lab.connectionFile, 'utf8')) as Connection;

describe('on the embedded parts', () => {
  test('every check is made and none finds a problem', async () => {
    const checks = await doctor();
    expect(checks.filter(({ verdict }) => verdict === 'problem')).toEqual([]);
    expect(checkIds.filter((id) => !found(checks, id))).toEqual([]);
    const spared = checks.filter(({ verdict }) => verdict === 'skipped').map(({ id }) => id);
    expect(spared.filter((id) => id !== 'appliance.lvm')).toEqual([]);
    expect(found(checks, 'engine.permissions')?.text).toContain('SuperUser on system');
    expect(found(checks, 'repository.locking')?.text).toContain('a second writer of an image is refused');
    expect(found(checks, 'appliance.repository')?.text).toContain('the same as the mover');
    expect(found(checks, 'host.data-daemon')).toMatchObject({ verdict: 'ok', text: expect.stringMatching(/^2 answer: host-1 \(localhost:\d+\), host-2 /) as string });
  });

  test('the command says so and exits with 0, as text and as JSON', async () => {
    const text = await cli('doctor');
    expect([text.code, text.err]).toEqual([exitCodes.ok.code, '']);
    expect(text.out).toMatch(/✓ {2}engine\.login .*admin@internal/);
    expect(text.out).toContain(' 0 problems');
    const json = await cli('doctor', '--json', '--engine', stack().engine);
    expect(JSON.parse(json.out)).toMatchObject({ count: { problem: 0 } });
  });

  test('an engine that is not configured is a mistake of the caller, with the names there are', async () => {
    const { code, err } = await cli('doctor', '--engine', 'elsewhere');
    expect([code, err]).toEqual([exitCodes.usage.code, expect.stringContaining(`It has: ${stack().engine}`)]);
  });
});

describe('what is broken is found', () => {
  test('the appliance VM is down', async () => {
    const { lab, applianceId } = stack();
    await lab.bring(applianceId, 'down');
    stack().afterwards(() => lab.bring(applianceId, 'up'));
    const checks = await doctor();
    expect(found(checks, 'appliance.up')).toMatchObject({ verdict: 'problem', text: 'appliance is down', remedy: expect.stringContaining('Start the VM') as string });
    expect(verdictsOf(checks, 'appliance.virtio-scsi', 'appliance.snapshots')).toEqual(['ok', 'ok']);
    const { code, out } = await cli('doctor');
    expect([code, out]).toEqual([exitCodes.unhealthy.code, expect.stringMatching(/✗ {2}appliance\.up .*appliance is down\n +→ Start the VM/)]);
  });

  test('the appliance has a snapshot of its own', async () => {
    const { lab, applianceId } = stack();
    await lab.engine('POST', `/vms/${applianceId}/snapshots`, { description: 'before the update', persist_memorystate: 'false' });
    const list = async (): Promise<readonly { id: string; description: string; snapshot_status: string }[]> => {
      const { snapshot = [] } = (await lab.engine('GET', `/vms/${applianceId}/snapshots`)) as { snapshot?: { id: string; description: string; snapshot_status: string }[] };
      return snapshot.filter(({ description }) => description === 'before the update');
    };
    stack().afterwards(async () => {
      await until('the snapshot is ok', async () => (await list())[0]?.snapshot_status === 'ok');
      await lab.engine('DELETE', `/vms/${applianceId}/snapshots/${(await list())[0]?.id ?? ''}`);
      await until('the snapshot is gone', async () => (await list()).length === 0);
    });
    await until('the snapshot is ok', async () => (await list())[0]?.snapshot_status === 'ok');
    expect(found(await doctor(), 'appliance.snapshots')).toMatchObject({ verdict: 'warning', text: expect.stringContaining('"before the update" (ok)') as string });
  });

  sometimes('the worker in the appliance is dead, and nobody serves a repository', async () => {
    const part = stack().parts.part('worker-appliance');
    await part.crash('SIGKILL');
    stack().afterwards(() => part.start());
    const checks = await doctor({ answerSeconds: 2 });
    expect(found(checks, 'queue.appliance')).toMatchObject({ verdict: 'problem', text: 'no worker picked up a question within 2 s' });
    expect(verdictsOf(checks, 'queue.copies', 'appliance.devices', 'appliance.lvm', 'queue.mover', 'appliance.up')).toEqual(['problem', 'skipped', 'skipped', 'ok', 'ok']);
    const nobody = await doctor({ answerSeconds: 1, repository: 'elsewhere' });
    expect(found(nobody, 'queue.mover')).toMatchObject({ verdict: 'problem', object: 'repository elsewhere' });
    const status = await cli('status', '--json');
    expect([status.code, (JSON.parse(status.out) as Status).queues.filter(({ verdict }) => verdict === 'problem').map(({ id }) => id)]).toEqual([exitCodes.unhealthy.code, ['queue.appliance', 'queue.copies']]);
  });

  test('the catalog is down: its checks say so, all others go on', async () => {
    const part = stack().parts.part('postgres');
    await part.crash('SIGKILL');
    stack().afterwards(() => part.start());
    const checks = await doctor();
    expect(verdictsOf(checks, 'catalog.reachable', 'catalog.version', 'engine.login', 'repository.writable')).toEqual(['problem', 'skipped', 'ok', 'ok']);
  });
});

/** The control worker's own activities on the real engine and catalog, with one thing changed. */
async function examineEngine(changes: { readonly caFile?: string; readonly user?: { readonly username: string; readonly password: string }; readonly url?: string; readonly insecure?: boolean; readonly aheadMs?: number; readonly hasAppliance?: boolean }): Promise<readonly Check[]> {
  const real = connection();
  const user = changes.user ?? real;
  const engine = createEngine({ name: 'lab', url: changes.url ?? real.url, username: user.username, password: () => Promise.resolve(user.password), caFile: changes.caFile ?? real.caFile, insecure: changes.insecure ?? false });
  const catalog = createCatalog({ url: readFileSync(stack().parts.catalogUrlFile, 'utf8').trim() });
  const dependencies: ControlExamination = {
    version: 'test', now: () => new Date(Date.now() + (changes.aheadMs ?? 0)), catalog, engineOf: () => engine, usernameOf: () => user.username,
    installation: { engines: [{ name: 'lab', applianceIds: changes.hasAppliance === false ? [] : [stack().applianceId] }], repositories: [] },
    temporal: { expectedSearchAttributes: {}, namespace: () => Promise.reject(new Error('not asked here')), searchAttributes: () => Promise.reject(new Error('not asked here')) },
  };
  const activities: ControlDoctor = createControlDoctor(dependencies);
  const environment = (): MockActivityEnvironment => new MockActivityEnvironment({ currentAttemptScheduledTimestampMs: Date.now() });
  try {
    const control = await environment().run<[], readonly Check[], ControlDoctor['examineControl']>(activities.examineControl);
    return [...control, ...(await environment().run<[{ readonly engine: string }], readonly Check[], ControlDoctor['examineEngine']>(activities.examineEngine, { engine: 'lab' }))];
  } finally {
    await engine.close();
    await catalog.close();
  }
}

describe('an engine that is configured wrongly', () => {
  test('another CA: nothing is sent to it', async () => {
    const foreign = path.join(stack().labState, '..', 'foreign-ca.pem');
    await writeFile(foreign, readFileSync(path.join(__dirname, 'support', 'foreign-ca.pem')));
    const checks = await examineEngine({ caFile: foreign });
    expect(found(checks, 'engine.certificate')).toMatchObject({ verdict: 'problem', text: expect.stringContaining('not trusted') as string, remedy: expect.stringContaining('caFile') as string });
    expect(verdictsOf(checks, 'engine.reachable', 'engine.login', 'engine.permissions')).toEqual(['ok', 'skipped', 'skipped']);
  });

  test('no verification at all is a warning, not a silence', async () => {
    expect(found(await examineEngine({ insecure: true }), 'engine.certificate')).toMatchObject({ verdict: 'warning', text: expect.stringContaining('not verified') as string });
  });

  test('nothing listens there', async () => {
    const checks = await examineEngine({ url: 'https://127.0.0.1:9/ovirt-engine/api' });
    expect(verdictsOf(checks, 'engine.reachable', 'engine.certificate', 'engine.login')).toEqual(['problem', 'skipped', 'skipped']);
  });

  test('a wrong password', async () => {
    const checks = await examineEngine({ user: { username: connection().username, password: 'not it' } });
    expect(verdictsOf(checks, 'engine.certificate', 'engine.login', 'engine.permissions')).toEqual(['ok', 'problem', 'skipped']);
    expect(JSON.stringify(checks)).not.toContain('not it');
  });

  test('a user who may only read lacks every permit but the log-in, and they are named', async () => {
    const reader = connection().limitedUsers.find(({ username }) => username === 'reader@internal');
    if (reader === undefined) throw new Error('the lab names no reader');
    const checks = await examineEngine({ user: reader });
    const permissions = found(checks, 'engine.permissions');
    expect(permissions).toMatchObject({ verdict: 'problem', text: expect.stringContaining('ReadOnlyAdmin on system') as string });
    for (const permit of ['manipulate_vm_snapshots', 'create_disk', 'create_vm']) expect(permissions?.text).toContain(permit);
    expect(permissions?.text).not.toContain('login (');
    // The method appliance is there; where it is not, the same is worse.
    expect(found(checks, 'engine.transfer-permissions')).toMatchObject({ verdict: 'warning', text: expect.stringMatching(/backup_disk.*edit_disk_properties.*create_disk on System.*the method transfer cannot be used/) as string });
    const alone = await examineEngine({ user: reader, hasAppliance: false });
    expect(verdictsOf(alone, 'engine.appliance', 'engine.vm-backups', 'engine.transfer-permissions')).toEqual(['warning', 'ok', 'problem']);
  });

  test('this worker\'s clock is ten minutes ahead: engine, database and Temporal all disagree with it', async () => {
    const checks = await examineEngine({ aheadMs: 600_000 });
    expect(verdictsOf(checks, 'engine.clock', 'catalog.clock', 'control.clock')).toEqual(['problem', 'problem', 'problem']);
    expect(verdictsOf(await examineEngine({}), 'engine.clock', 'catalog.clock', 'control.clock')).toEqual(['ok', 'ok', 'ok']);
  });
});

describe('status and holdings', () => {
  sometimes('show an open backup, what it holds and how to end it; afterwards the backup is the VM\'s last and nothing is held', async () => {
    const { client, engine, repository, track } = stack();
    const demo = await client.resolveVm(engine, 'demo');
    const handle = track(await client.backupVm({ engine, vmId: demo.id, repository, bandwidthBytesPerSecond: 8 * 1024 ** 2 }, { vmName: 'demo' }));
    await until('the copy has begun', async () => (await handle.progress()).disks.some(({ positionBytes }) => positionBytes > 0), 60_000);
    const status = await cli('status');
    expect([status.code, status.out]).toEqual([exitCodes.ok.code, expect.stringMatching(/Running now\n {2}backupVm demo of lab .*: copy, \d+ %/)]);
    const { holdings } = await client.listHoldings({ engine, vmId: demo.id });
    expect(holdings.map(({ kind, state, run }) => [kind, state, run.outcome])).toEqual([['snapshot', 'held', 'running'], ['attachment', 'held', 'running'], ['attachment', 'held', 'running']]);
    const shown = await cli('holdings', '--engine', engine);
    expect(shown.out).toContain(`holdfast cancel ${handle.workflowId}`);
    await handle.setBandwidth(null);
    const { backup } = await handle.result();
    expect((await cli('holdings')).out).toBe('Nothing is held and nothing is left over.\n');
    const after = JSON.parse((await cli('status', '--json')).out) as Status;
    expect(after).toMatchObject({ running: [], lastBackups: [{ backupId: backup.backupId, vmName: 'demo' }], alerts: [{ code: 'awareness.no-full-backup' }], more: [] });
  }, 180_000);
});
