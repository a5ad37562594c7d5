// The outside look sees every kind of leftover, and only it: each case stages one and expects exactly its finding.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RunDirectory } from '../../lab/host/run-directory';
import { expectNothingLeft, findLeftovers } from './leftovers';
import { fuseWorks, makeCertificate, rows, setStage, type Certificate, type Stage } from './leftovers-stage';

let tls: Certificate;
let tlsDirectory: string;
let stage: Stage;
beforeAll(async () => {
  tlsDirectory = await mkdtemp(path.join(tmpdir(), 'hf-look-tls-'));
  tls = await makeCertificate(tlsDirectory);
});
afterAll(() => rm(tlsDirectory, { recursive: true, force: true }));
beforeEach(async () => {
  stage = await setStage(tls);
});
afterEach(() => stage.remove());

interface Case {
  readonly where: string;
  readonly what: string;
  /** Stages the leftover and returns its object. */
  readonly leave: () => Promise<string> | string;
  /** What comes along unavoidably: `where what` of further findings. */
  readonly also?: readonly string[];
}

function vmRow(id: string): Record<string, unknown> {
  const row = rows(stage.world, '/vms', 'vm').find((vm) => vm['id'] === id);
  if (row === undefined) throw new Error(`no VM ${id} on the stage`);
  return row;
}

function addSnapshot(fields: Record<string, unknown>): string {
  const id = randomUUID();
  rows(stage.world, `/vms/${stage.ids.demo}/snapshots`, 'snapshot').push({ id, description: 'mine', snapshot_status: 'ok', snapshot_type: 'regular', ...fields });
  stage.world.set(`/vms/${stage.ids.demo}/snapshots/${id}/disks`, {});
  return id;
}

async function addFile(...parts: readonly string[]): Promise<string> {
  const file = path.join(...parts);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, 'x');
  return file;
}

/** An image that belongs to no disk of the engine, opened by the demo's QEMU as node `stranger`. */
async function openStranger(): Promise<string> {
  const file = await addFile(stage.directory, 'elsewhere.raw');
  await writeFile(file, Buffer.alloc(1024 * 1024));
  await stage.qmp({ execute: 'blockdev-add', arguments: { driver: 'raw', 'node-name': 'stranger', file: { driver: 'file', filename: file } } });
  return 'stranger';
}

const inEngine: readonly Case[] = [
  { where: 'engine', what: 'marked-snapshot', leave: () => addSnapshot({ description: 'Holdfast backup x' }) },
  { where: 'engine', what: 'snapshot-state', leave: () => addSnapshot({ snapshot_status: 'locked' }) },
  { where: 'engine', what: 'snapshot-state', leave: () => addSnapshot({ snapshot_type: 'preview' }) },
  {
    where: 'engine', what: 'attachment',
    leave: () => {
      rows(stage.world, `/vms/${stage.ids.appliance}/diskattachments`, 'disk_attachment').push({ id: stage.ids.disk, active: 'false', disk: { id: stage.ids.disk, snapshot: { id: randomUUID() } } });
      return stage.ids.disk;
    },
  },
  {
    where: 'engine', what: 'attachment',
    leave: () => {
      const id = randomUUID();
      rows(stage.world, '/disks', 'disk').push({ id, alias: 'half restored', status: 'ok', content_type: 'data' });
      rows(stage.world, `/vms/${stage.ids.appliance}/diskattachments`, 'disk_attachment').push({ id, active: 'false', disk: { id } });
      return id;
    },
  },
  {
    // A snapshot's disk belongs to no VM but its own, whoever it is plugged into.
    where: 'engine', what: 'attachment',
    leave: () => {
      rows(stage.world, `/vms/${stage.ids.stopped}/diskattachments`, 'disk_attachment').push({ id: stage.ids.disk, active: 'false', disk: { id: stage.ids.disk, snapshot: { id: randomUUID() } } });
      return stage.ids.disk;
    },
  },
  ...['locked', 'illegal'].map((status): Case => ({
    where: 'engine', what: 'disk-status',
    leave: () => {
      Object.assign(rows(stage.world, '/disks', 'disk')[0] ?? {}, { status });
      return stage.ids.disk;
    },
  })),
  {
    where: 'engine', what: 'floating-disk',
    leave: () => {
      const id = randomUUID();
      rows(stage.world, '/disks', 'disk').push({ id, alias: 'nobody\'s', status: 'ok', content_type: 'data' });
      return id;
    },
  },
  {
    where: 'engine', what: 'vm-status',
    leave: () => {
      vmRow(stage.ids.demo)['status'] = 'paused';
      return stage.ids.demo;
    },
  },
  {
    where: 'engine', what: 'marked-vm',
    leave: () => {
      vmRow(stage.ids.stopped)['comment'] = 'Holdfast restore x';
      return stage.ids.stopped;
    },
  },
  {
    where: 'engine', what: 'job',
    leave: () => {
      const id = randomUUID();
      rows(stage.world, '/jobs', 'job').push({ id, description: 'Removing Snapshot', status: 'started' });
      return id;
    },
  },
];

const inQemu: readonly Case[] = [
  { where: 'qmp', what: 'block-node', leave: openStranger },
  {
    where: 'qmp', what: 'export', also: ['qmp block-node'],
    leave: async () => {
      await openStranger();
      const socket = path.join(stage.directory, 'stray-nbd');
      // Without FUSE the stage's own NBD server runs already.
      if (fuseWorks) await stage.qmp({ execute: 'nbd-server-start', arguments: { addr: { type: 'unix', data: { path: socket } } } });
      await stage.qmp({ execute: 'block-export-add', arguments: { type: 'nbd', id: 'stray', 'node-name': 'stranger' } });
      return 'stray';
    },
  },
  {
    where: 'qmp', what: 'job',
    leave: async () => {
      const target = path.join(stage.directory, 'target.raw');
      await writeFile(target, '');
      await stage.qmp({ execute: 'blockdev-create', arguments: { 'job-id': 'forgotten', options: { driver: 'file', filename: target, size: 65_536 } } });
      return 'forgotten';
    },
  },
  {
    where: 'qmp', what: 'forgotten-layer', also: ['directory stray-volume'],
    leave: () => {
      // The engine has merged the user's snapshot away, QEMU has not.
      const snapshots = rows(stage.world, `/vms/${stage.ids.demo}/snapshots`, 'snapshot');
      snapshots.splice(1);
      return 'base';
    },
  },
  {
    where: 'qmp', what: 'silent-monitor', also: ['socket dead-socket', 'socket dead-socket', ...(fuseWorks ? [] : ['socket dead-socket'])],
    leave: async () => {
      const gone = once(stage.qemu, 'exit');
      stage.qemu.kill('SIGKILL');
      await gone;
      return path.join(stage.runDirectory, 'o');
    },
  },
];

const onTheHost: readonly Case[] = [
  {
    where: 'process', what: 'helper-process',
    leave: async () => {
      const image = path.join(stage.sealedBackup, `${stage.ids.disk}.qcow2`);
      const server = await stage.start('qemu-nbd', ['--persistent', '--read-only', '--format', 'raw', '--socket', path.join(stage.directory, 'stray'), image]);
      await waitFor(async () => (await findLeftovers(stage.options)).length > 0);
      return String(server.pid);
    },
  },
  {
    where: 'process', what: 'helper-process',
    leave: async () => {
      const daemon = await stage.start('qemu-storage-daemon', ['--blockdev', `driver=file,node-name=x,filename=${path.join(stage.sealedBackup, 'vm.ovf')},read-only=on`]);
      await waitFor(async () => (await findLeftovers(stage.options)).length > 0);
      return String(daemon.pid);
    },
  },
  {
    where: 'process', what: 'qemu-of-a-down-vm',
    leave: async () => {
      const qemu = await stage.start('qemu-system-x86_64', ['-machine', 'none', '-nodefaults', '-display', 'none', '-uuid', stage.ids.stopped, '-pidfile', path.join(stage.labState, 'vms', 'pid')]);
      await waitFor(async () => (await findLeftovers(stage.options)).length > 0);
      return String(qemu.pid);
    },
  },
  {
    where: 'directory', what: 'by-id-entry',
    leave: async () => {
      const entry = path.join(stage.labState, 'vms', stage.ids.appliance, 'by-id', `scsi-0QEMU_QEMU_HARDDISK_${stage.ids.disk}`);
      await mkdir(path.dirname(entry), { recursive: true });
      await symlink('/dev/null', entry);
      return entry;
    },
  },
  { where: 'directory', what: 'overlay-file', leave: () => addFile(stage.demoDirectory, 'overlays', `${randomUUID()}.qcow2`) },
  { where: 'directory', what: 'stray-volume', leave: () => addFile(stage.labState, 'sd', randomUUID(), 'images', stage.ids.disk, randomUUID()) },
  {
    where: 'directory', what: 'empty-mount-point',
    leave: async () => {
      const file = path.join(stage.runDirectory, 'was-mounted');
      await writeFile(file, '');
      return file;
    },
  },
  {
    where: 'socket', what: 'dead-socket',
    leave: async () => {
      const [bound, file] = [path.join(stage.directory, 'bound'), path.join(stage.runDirectory, 'dead')];
      const server = createServer().listen(bound);
      await once(server, 'listening');
      // Renamed, because closing removes it: so the file stays as it does after a SIGKILL.
      await rename(bound, file);
      server.close();
      return file;
    },
  },
];

const inRepository: readonly Case[] = [
  { where: 'repository', what: 'partial-backup', leave: async () => path.dirname(await addFile(stage.repository, 'vms', stage.ids.demo, randomUUID(), 'vm.ovf')) },
  {
    where: 'repository', what: 'partial-backup',
    leave: async () => {
      await unlink(path.join(stage.sealedBackup, 'manifest.json'));
      return stage.sealedBackup;
    },
  },
  ...['lock', 'progress'].map((kind): Case => ({ where: 'repository', what: 'work-file', leave: () => addFile(stage.sealedBackup, `${stage.ids.disk}.${kind}`) })),
  ...['manifest.json.1a2b.tmp', '.manifest.json', 'nbd'].map((name): Case => ({ where: 'repository', what: 'stray-file', leave: () => addFile(stage.sealedBackup, name) })),
  { where: 'repository', what: 'stray-file', leave: () => addFile(stage.repository, '.probe-1234') },
  { where: 'repository', what: 'stray-file', leave: () => addFile(stage.repository, 'vms', stage.ids.demo, 'left.tmp') },
];

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(await condition()); await new Promise((resolve) => setTimeout(resolve, 20))) if (Date.now() > deadline) throw new Error('the leftover was not staged within 10 s');
}

test('a clean lab and repository: nothing is found', async () => {
  expect(await findLeftovers(stage.options)).toEqual([]);
  await expectNothingLeft(stage.options);
});

test.each([...inEngine, ...inQemu, ...onTheHost, ...inRepository])('$where: $what', async ({ where, what, leave, also = [] }) => {
  const object = await leave();
  const found = await findLeftovers(stage.options);
  expect(found).toContainEqual({ where, what, object, detail: expect.stringMatching(/\S/) as string });
  expect(found.map((each) => `${each.where} ${each.what}`).sort()).toEqual([`${where} ${what}`, ...also].sort());
});

if (fuseWorks) {
  test('mount: stray-mount, also a dead one', async () => {
    await unlink(path.join(stage.demoDirectory, 'by-id', `scsi-0QEMU_QEMU_HARDDISK_${stage.ids.disk}`));
    const stray = { where: 'mount', what: 'stray-mount', object: path.join(stage.runDirectory, 'export'), detail: 'serves no disk that is plugged' };
    expect(await findLeftovers(stage.options)).toEqual([stray]);
    const gone = once(stage.qemu, 'exit');
    stage.qemu.kill('SIGKILL');
    await gone;
    expect(await findLeftovers(stage.options)).toContainEqual(stray);
  });
} else {
  test('mount: stray-mount (not staged: /dev/fuse cannot be opened here, so no FUSE export can be forgotten either)', () => expect(fuseWorks).toBe(false));
}

test('the lab\'s own run directory is looked at, also when no VM points to it any more', async () => {
  const run = new RunDirectory(stage.labState);
  await run.create();
  try {
    const file = run.exportFile(stage.ids.stopped, stage.ids.disk);
    await writeFile(file, '');
    expect((await findLeftovers(stage.options)).map(({ what, object }) => ({ what, object }))).toEqual([{ what: 'empty-mount-point', object: file }]);
    await unlink(file);
  } finally {
    await run.removeIfEmpty();
  }
});

test('repositories alone are looked at without a lab, processes and run directories included', async () => {
  const { repositories, applianceIds } = stage.options;
  const runDirectories = [path.join(stage.directory, 'worker')];
  const file = await addFile(stage.directory, 'worker', 'nested', 'mount-point');
  await writeFile(file, '');
  const partial = path.dirname(await addFile(stage.repository, 'vms', stage.ids.demo, randomUUID(), 'vm.ovf'));
  expect((await findLeftovers({ repositories, applianceIds, runDirectories })).map(({ object }) => object).sort()).toEqual([partial, file].sort());
});

test('products are no leftovers: kept VMs and kept disks', async () => {
  const id = randomUUID();
  rows(stage.world, '/disks', 'disk').push({ id, alias: 'appliance system', status: 'ok', content_type: 'data' });
  rows(stage.world, `/vms/${stage.ids.appliance}/diskattachments`, 'disk_attachment').push({ id, active: 'false', disk: { id } });
  await expectNothingLeft({ ...stage.options, keptDiskIds: [id] });
});

test('expectNothingLeft lists everything in words, and waits as long as it may for what is about to go', async () => {
  const file = await addFile(stage.sealedBackup, 'left.tmp');
  await expect(expectNothingLeft(stage.options)).rejects.toThrow(`repository: stray-file ${file}`);
  const cleaned = expectNothingLeft({ ...stage.options, withinMs: 20_000 });
  await unlink(file);
  await cleaned;
});

test('an engine that does not answer has not been found clean', async () => {
  stage.world.delete('/jobs');
  await expect(findLeftovers(stage.options)).rejects.toThrow(/cannot read .*\/jobs: HTTP 404/);
});

test('a VM that goes while the engine is looked at is nobody\'s leftover; one that is there and does not answer has not been found clean', async () => {
  const [id, listed] = [randomUUID(), rows(stage.world, '/vms', 'vm')];
  listed.push({ id, name: 'going', status: 'down' });
  await expect(findLeftovers(stage.options)).rejects.toThrow(`/vms/${id}/snapshots: HTTP 404`);
  const get = stage.world.get.bind(stage.world);
  const asked = jest.spyOn(stage.world, 'get').mockImplementation((collection) => {
    if (collection.startsWith(`/vms/${id}/`)) listed.pop();
    return get(collection);
  });
  expect(await findLeftovers(stage.options)).toEqual([]);
  expect(asked).toHaveBeenCalledWith(`/vms/${id}/snapshots`);
});
