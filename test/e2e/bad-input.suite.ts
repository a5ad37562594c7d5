// Bad input on the real system: every case gets a clear error that names the object and the remedy, all reasons at once, and before
// anything is made, which the engine's objects and events and the repository's directory prove.
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { sometimes } from '../support/sometimes';
import { startWorkerInside, whyNoNamespace, workerProgram, type SpawnedWorker } from './support/namespaces';
import { refused, refusedBackup } from './support/refusals';
import { deleteVolume, duringSnapshot, makeSnapshot, removeSnapshot } from './support/trouble';
import { useStack, type Stack } from './support/stack';
import { ask, makeVm, until, volumePath, type TestVm } from './support/vms';

const unknownId = randomUUID();
const stackOf = useStack({
  env: { HOLDFAST_TEST_WRONG_PASSWORD: 'not the password' },
  configure: { control: (config) => ({ ...config, engines: withWrongEngines(config['engines'] as Record<string, object>), deadlines: { workerSeconds: 4 } }) },
});

/** The lab twice more under other names: with a wrong password, and without the CA that signed its certificate. */
function withWrongEngines({ lab = {}, ...others }: Record<string, object>): Record<string, object> {
  return { ...others, lab, 'wrong-password': { ...lab, password: { variable: 'HOLDFAST_TEST_WRONG_PASSWORD' } }, untrusted: { ...lab, caFile: undefined } };
}
let stack: Stack;
let plain: TestVm;

beforeAll(async () => {
  stack = stackOf();
  plain = await makeVm(stack, 'plain', [{ alias: 'plain_Disk1', format: 'cow', sizeMib: 64, dataMib: 24 }]);
}, 60_000);

const limitMs = 90_000;

describe('the VM and its disks', () => {
  test('an unknown VM', async () => {
    const { codes, textOf } = await refusedBackup(stack, unknownId);
    expect(codes).toEqual(['vm.unknown']);
    expect(textOf('vm.unknown')).toMatch(/Engine lab knows no VM .* holdfast list vms/);
  }, limitMs);

  sometimes('a disk that another operation has locked', async () => {
    const vm = await makeVm(stack, 'busy', [{ alias: 'busy_Disk1', format: 'cow', sizeMib: 8, dataMib: 1 }], { start: true });
    stack.afterwards(() => stack.lab.removeWithDisks(vm.id));
    const { codes, textOf } = await duringSnapshot(stack, vm, () => refusedBackup(stack, vm.id));
    expect(codes).toEqual(['disk.locked', 'vm.snapshot-busy']);
    expect(textOf('disk.locked')).toMatch(/Disk busy_Disk1 .* of VM busy is locked by another operation\. Wait/);
    expect(textOf('vm.snapshot-busy')).toMatch(/VM busy has the snapshot "takes its time" that is locked.* Wait/);
  }, limitMs);

  sometimes('an illegal disk: its volume file is gone', async () => {
    const vm = await makeVm(stack, 'damaged', [{ alias: 'damaged_Disk1', format: 'raw', sizeMib: 8, dataMib: 1 }]);
    stack.afterwards(() => stack.lab.removeWithDisks(vm.id));
    await deleteVolume(stack, vm);
    const { codes, textOf } = await refusedBackup(stack, vm.id);
    expect(codes).toEqual(['disk.illegal']);
    expect(textOf('disk.illegal')).toMatch(/Disk damaged_Disk1 .* of VM damaged is illegal.* Repair or remove it/);
  }, limitMs);

  sometimes('an illegal disk: the volume behind one of its snapshots is gone', async () => {
    const vm = await makeVm(stack, 'undermined', [{ alias: 'undermined_Disk1', format: 'cow', sizeMib: 8, dataMib: 1 }]);
    stack.afterwards(() => stack.lab.removeWithDisks(vm.id));
    const snapshotId = await makeSnapshot(stack, vm, 'somebody else\'s');
    const [frozen] = await ask.snapshotDisks(stack, vm.id, snapshotId);
    if (!frozen) throw new Error('the snapshot froze no disk');
    await rm(await volumePath(stack, frozen));
    await until('the lab notices it', async () => (await ask.disk(stack, frozen.id))?.status === 'illegal');
    expect((await refusedBackup(stack, vm.id)).codes).toEqual(['disk.illegal']);
  }, limitMs);

  sometimes('a VM that previews a snapshot', async () => {
    const snapshotId = await makeSnapshot(stack, plain, 'to be previewed');
    stack.afterwards(async () => {
      await stack.lab.engine('POST', `/vms/${plain.id}/undosnapshot`, {});
      await until('the preview is undone', async () => (await ask.snapshots(stack, plain.id)).every(({ snapshot_status }) => snapshot_status === 'ok'));
      await removeSnapshot(stack, plain, snapshotId);
    });
    await stack.lab.engine('POST', `/vms/${plain.id}/previewsnapshot`, { snapshot: { id: snapshotId } });
    await until('the preview is on', async () => (await ask.snapshots(stack, plain.id)).some(({ snapshot_status }) => snapshot_status === 'in_preview'));
    const { codes, textOf } = await refusedBackup(stack, plain.id);
    expect(codes).toEqual(['vm.preview']);
    expect(textOf('vm.preview')).toMatch(/VM plain is previewing a snapshot\. Commit or undo/);
  }, limitMs);

  sometimes('all reasons at once: a shareable disk, a direct LUN, an illegal disk, an unknown disk to leave out, quiescing without evidence, a repository that nobody serves', async () => {
    const vm = await makeVm(stack, 'troubled', [
      { alias: 'good', format: 'cow', sizeMib: 8, dataMib: 1 },
      { alias: 'shared', format: 'raw', sizeMib: 8, dataMib: 1, shareable: true },
      { alias: 'broken', format: 'raw', sizeMib: 8, dataMib: 1 },
    ], { start: true });
    const lunId = await attachLun(vm);
    stack.afterwards(async () => {
      await stack.lab.removeWithDisks(vm.id);
      // What others may share stays when the VM goes, and is the removal's as long as that goes on.
      for (const diskId of [lunId, ...vm.disks.filter(({ alias }) => alias === 'shared').map(({ id }) => id)]) await until(`disk ${diskId} may be removed`, () => removed(diskId));
    });
    await deleteVolume(stack, { ...vm, disks: vm.disks.filter(({ alias }) => alias === 'broken') });
    const { codes, textOf, error } = await refusedBackup(stack, vm.id, { leaveOutDiskIds: [unknownId], quiesce: 'required', repository: 'nowhere' });
    expect(codes).toEqual(['appliance.repository', 'disk.illegal', 'disk.lun', 'disk.shared', 'disk.unknown', 'quiesce.impossible', 'repository.no-worker']);
    expect(error.message).toMatch(/for 7 reasons/);
    expect(textOf('disk.shared')).toMatch(/Disk shared .* is shareable.*\(--leave-out/);
    expect(textOf('disk.lun')).toContain(`--leave-out ${lunId}`);
    expect(textOf('disk.unknown')).toMatch(/VM troubled has no such disk/);
    expect(textOf('repository.no-worker')).toMatch(/No worker serves repository nowhere\. Start one/);
    await acceptedWhenLeftOut(vm, [...vm.disks.filter(({ alias }) => alias !== 'good').map(({ id }) => id), lunId]);
  }, limitMs);
});

async function removed(diskId: string): Promise<boolean> {
  try {
    await stack.lab.engine('DELETE', `/disks/${diskId}`);
    return true;
  } catch (error) {
    if (error instanceof Error && error.message.includes('answered 409')) return false;
    throw error;
  }
}

/** Attached, not plugged: the lab's guests have no such bus. */
async function attachLun(vm: TestVm): Promise<string> {
  const disk = { alias: 'lun', lun_storage: { type: 'iscsi', logical_units: { logical_unit: [{ id: '3600140512345678', address: '192.0.2.1', port: 3260, target: 'iqn.2026-11.example:lun', size: 1024 ** 3 }] } } };
  const { id } = z.object({ id: z.string() }).parse(await stack.lab.engine('POST', '/disks', disk));
  await stack.lab.engine('POST', `/vms/${vm.id}/diskattachments`, { disk: { id }, interface: 'virtio_scsi', bootable: false, active: false });
  return id;
}

async function acceptedWhenLeftOut(vm: TestVm, diskIds: readonly string[]): Promise<void> {
  const { backup } = await stack.track(await stack.client.backupVm({ engine: stack.engine, vmId: vm.id, repository: stack.repository, leaveOutDiskIds: [...diskIds] })).result();
  expect(backup.disks.map(({ alias, root }) => ({ alias, root }))).toEqual([{ alias: 'good', root: vm.disks[0]?.root }]);
}

describe('the appliance', () => {
  sometimes('is the VM itself, which moreover has no disk', async () => {
    const { codes, textOf } = await refusedBackup(stack, stack.applianceId);
    expect(codes).toEqual(['appliance.is-the-vm', 'vm.no-disks']);
    expect(textOf('appliance.is-the-vm')).toMatch(/The appliance appliance is the VM to be backed up.* Use another/);
  }, limitMs);

  sometimes('is unknown: that nobody works in it goes without saying', async () => {
    const { codes, textOf } = await refusedBackup(stack, plain.id, { applianceId: unknownId });
    expect(codes).toEqual(['appliance.unknown']);
    expect(textOf('appliance.unknown')).toMatch(/knows no VM .* which is to be the appliance\. Correct the id/);
  }, limitMs);

  sometimes('is down', async () => {
    stack.afterwards(() => stack.lab.bring(stack.applianceId, 'up'));
    await stack.lab.bring(stack.applianceId, 'down');
    const { codes, textOf } = await refusedBackup(stack, plain.id);
    expect(codes).toContain('appliance.down');
    expect(textOf('appliance.down')).toMatch(/The appliance appliance is down.* Start it/);
  }, limitMs);
});

describe('the connection to the engine', () => {
  sometimes('a wrong password', async () => {
    const { error } = await refusedBackup(stack, plain.id, { engine: 'wrong-password' });
    expect(error.code).toBe('engine.unauthorized');
    expect(error.message).toMatch(/"wrong-password".*"?admin@internal"?.*password/s);
    expect(error.message).not.toContain('not the password');
  }, limitMs);

  sometimes('a certificate that nobody vouches for', async () => {
    const { error } = await refusedBackup(stack, plain.id, { engine: 'untrusted' });
    expect(error.code).toBe('engine.certificate');
    expect(error.message).toMatch(/"untrusted".*caFile/s);
  }, limitMs);
});

const noNamespace = whyNoNamespace('mount');
if (noNamespace !== undefined) console.warn(`skipped: repositories that are read-only or full: ${noNamespace}`);

(noNamespace === undefined ? describe : describe.skip)('the repository', () => {
  let appliance: { readonly vm: TestVm; readonly worker: SpawnedWorker } | undefined;
  const repositories = (): { readonly readonly: string; readonly tiny: string } => ({ readonly: path.join(stack.parts.state, 'readonly'), tiny: path.join(stack.parts.state, 'tiny') });
  /** As the worker sees it. */
  const inside = (directory: string): string => `/proc/${appliance?.worker.pid ?? 0}/root${directory}`;

  beforeAll(async () => {
    const vm = await makeVm(stack, 'appliance-2', [], { start: true });
    const { readonly, tiny } = repositories();
    for (const directory of [readonly, tiny]) await mkdir(directory);
    const marker = path.join(stack.parts.state, 'marker.json');
    await writeFile(marker, JSON.stringify({ format: 'holdfast-repository', version: 1, id: randomUUID() }));
    const worker = await startWorkerInside(stack, ['mount'], mountScript(readonly, tiny, marker), 'appliance-2', {
      roles: ['mover', 'appliance'],
      temporal: { address: stack.parts.temporal.address, namespace: stack.parts.temporal.namespace },
      repositories: { readonly: { path: readonly }, tiny: { path: tiny } },
      appliance: { engine: stack.engine, vmId: vm.id, devices: path.join(stack.labState, 'vms', vm.id, 'by-id') },
    });
    appliance = { vm, worker };
  }, limitMs);
  afterAll(async () => { await appliance?.worker.stop(); }, limitMs);

  test('cannot be written to, neither by the mover nor by the appliance', async () => {
    const { readonly } = repositories();
    const { codes, textOf } = await refusedBackup(stack, plain.id, { repository: 'readonly', applianceId: appliance?.vm.id ?? '' }, inside(readonly));
    expect(codes).toEqual(['appliance.repository', 'repository.not-writable']);
    expect(textOf('repository.not-writable')).toMatch(/Repository readonly: .*read-only.* Mount it for writing/s);
  }, limitMs);

  sometimes('has too little room', async () => {
    const { tiny } = repositories();
    const { codes, textOf } = await refusedBackup(stack, plain.id, { repository: 'tiny', applianceId: appliance?.vm.id ?? '' }, inside(tiny));
    expect(codes).toEqual(['repository.full']);
    expect(textOf('repository.full')).toMatch(/Repository tiny has \d+ bytes free, the backup may need \d+\. Make room/);
  }, limitMs);
});

/**
 * Only this worker sees one directory as a small file system and the other as one that is mounted read-only. `bind`: the mount alone is changed; in a
 * user's own namespace the kernel refuses to change the file system with the uid that it shows.
 */
function mountScript(readonly: string, tiny: string, marker: string): string {
  return `mount -t tmpfs -o size=2m none '${tiny}'
    mount -t tmpfs -o size=2m none '${readonly}'; cp '${marker}' '${readonly}/holdfast-repository.json'; mount -o remount,bind,ro '${readonly}'
    exec "$@"`;
}

describe('the worker\'s configuration', () => {
  async function startWith(config: unknown): Promise<{ readonly code: number | null; readonly words: string }> {
    const file = path.join(stack.parts.state, 'wrong.json');
    await writeFile(file, typeof config === 'string' ? config : JSON.stringify(config));
    const { status, stderr } = spawnSync(process.execPath, [workerProgram, '--config', file], { encoding: 'utf8', env: stack.env, timeout: 30_000 });
    return { code: status, words: stderr };
  }

  sometimes('names every wrong key at once', async () => {
    const { code, words } = await startWith({ roles: ['control', 'cook'], engines: { lab: { url: 'http://engine', username: '' } }, repositories: { Main: { path: 'relative' } }, temporl: {} });
    expect(code).toBe(1);
    for (const key of ['roles.1', 'engines.lab.url', 'engines.lab.username', 'engines.lab.password', 'repositories.Main', 'temporl']) expect(words).toContain(key);
    expect(words).toMatch(/wrong\.json is not valid.*docs\/operators\.md/s);
  });

  sometimes('says what a role needs of other keys', async () => {
    const { code, words } = await startWith({ roles: ['control', 'mover', 'appliance'] });
    expect({ code, words }).toEqual({ code: 1, words: expect.stringMatching(/catalog\.url.*engines: .*repositories: .*appliance: /s) as string });
  });

  sometimes('names a repository that is not one, a server that does not answer, a file that is no YAML', async () => {
    const temporal = { address: stack.parts.temporal.address, namespace: stack.parts.temporal.namespace };
    const foreign = await startWith({ roles: ['mover'], temporal, repositories: { state: { path: stack.parts.state } } });
    expect(foreign).toEqual({ code: 1, words: expect.stringMatching(/Repository state: .* is not empty .* and not a Holdfast repository\. Give it an empty directory/) as string });
    const silent = await startWith({ roles: ['mover'], temporal: { address: '127.0.0.1:9' }, repositories: { main: { path: stack.parts.repository.path } } });
    expect(silent).toEqual({ code: 1, words: expect.stringMatching(/No Temporal server answers at 127\.0\.0\.1:9 \(temporal\.address\)/) as string });
    expect(await startWith('roles: [control')).toEqual({ code: 1, words: expect.stringContaining('not YAML') as string });
  }, limitMs);
});

describe('a restore', () => {
  sometimes('under a name that exists, to a cluster and a storage domain that do not', async () => {
    const { backup } = await stack.track(await stack.client.backupVm({ engine: stack.engine, vmId: plain.id, repository: stack.repository })).result();
    const request = { engine: stack.engine, repository: stack.repository, backupId: backup.backupId, name: 'demo' };
    const taken = await refused(stack, () => stack.client.restoreVm(request));
    expect(taken.codes).toEqual(['name.taken']);
    expect(taken.error.message).toMatch(/A VM named demo exists already .* Choose another name/);
    const all = await refused(stack, () => stack.client.restoreVm({ ...request, cluster: unknownId, storageDomain: unknownId, applianceId: unknownId }));
    expect(all.codes).toEqual(['appliance.unknown', 'cluster.unknown', 'domain.unknown', 'name.taken']);
    expect(all.textOf('cluster.unknown')).toMatch(/Name one of: Default/);
    expect(all.textOf('domain.unknown')).toMatch(/active data domains: data-1/);
  }, limitMs);

  sometimes('of a backup that is not there', async () => {
    const { error } = await refused(stack, () => stack.client.restoreVm({ engine: stack.engine, repository: stack.repository, backupId: unknownId, name: 'from-nothing' }));
    expect({ code: error.code, message: error.message }).toEqual({ code: 'backup.not-found', message: expect.stringContaining(`Repository main has no backup ${unknownId}. List what it has`) as string });
  }, limitMs);
});
