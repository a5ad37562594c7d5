// A stage for the outside look: a scripted engine over HTTPS, a lab's directories as lab/host lays them out, one real QEMU with a
// plugged disk and its export, and a repository with a sealed backup. As it stands, nothing is left behind.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer as createControl } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { LookOptions } from './leftovers';
import { askQemu } from './leftovers/qmp';

const run = promisify(execFile);

export const fuseWorks = ((): boolean => {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
})();

type Row = Record<string, unknown>;

/** What the engine answers, by path below `/api`. */
export type World = Map<string, Row>;

export interface Stage {
  readonly directory: string;
  readonly labState: string;
  readonly runDirectory: string;
  readonly repository: string;
  readonly sealedBackup: string;
  readonly options: LookOptions;
  readonly world: World;
  /** What the lab's control socket answers to `/state`. */
  readonly labHolds: { readonly locks: Row[]; readonly operations: Row[] };
  readonly ids: { readonly demo: string; readonly appliance: string; readonly stopped: string; readonly restored: string; readonly disk: string; readonly base: string; readonly active: string };
  /** `vms/<demo>`. */
  readonly demoDirectory: string;
  readonly qemu: ChildProcess;
  /** To the monitor that the lab would hold. */
  readonly qmp: (...questions: readonly object[]) => Promise<readonly unknown[]>;
  /** Starts a program that ends with the stage. */
  readonly start: (program: string, args: readonly string[]) => Promise<ChildProcess>;
  readonly remove: () => Promise<void>;
}

/** `tls`: made once per suite by `makeCertificate`. */
export async function setStage(tls: Certificate): Promise<Stage> {
  const directory = await realpath(await mkdtemp(path.join(tmpdir(), 'hf-look-')));
  const [labState, runDirectory, repository] = [path.join(directory, 'lab'), path.join(directory, 'run'), path.join(directory, 'repository')];
  const ids = { demo: randomUUID(), appliance: randomUUID(), stopped: randomUUID(), restored: randomUUID(), disk: randomUUID(), base: randomUUID(), active: randomUUID() };
  await mkdir(runDirectory);
  const world = makeWorld(ids);
  const server = await serve(world, tls);
  const labHolds: Stage['labHolds'] = { locks: [], operations: [] };
  const controlSocket = path.join(directory, 'control.sock');
  const control = createControl((_, response) => void response.end(JSON.stringify(labHolds))).listen(controlSocket);
  await once(control, 'listening');
  const { port } = server.address() as AddressInfo;
  await mkdir(labState);
  await writeFile(path.join(labState, 'connection.json'), JSON.stringify({ url: `https://127.0.0.1:${port}/ovirt-engine`, username: 'admin@internal', password: 'secret', caFile: tls.file, controlSocket }));
  const sealedBackup = await makeRepository(repository, ids.demo, ids.disk);
  const children: ChildProcess[] = [];
  const start = async (program: string, args: readonly string[]): Promise<ChildProcess> => {
    const child = spawn(program, args, { stdio: 'ignore' });
    children.push(child);
    await once(child, 'spawn');
    return child;
  };
  const demoDirectory = path.join(labState, 'vms', ids.demo);
  const qemu = await plugDemo({ labState, runDirectory, demoDirectory, ids, start });
  return {
    directory, labState, runDirectory, repository, sealedBackup, world, labHolds, ids, demoDirectory, qemu, start,
    options: { labState, repositories: [repository], applianceIds: [ids.appliance], keptVmIds: [ids.restored] },
    qmp: (...questions) => askQemu(path.join(runDirectory, 'q'), questions),
    async remove() {
      for (const child of children) await endChild(child);
      await run('sh', ['-c', 'for m in $(cut -d" " -f5 /proc/self/mountinfo | grep "^$1/"); do umount -l "$m" || fusermount3 -uz "$m"; done', 'sh', directory]);
      for (const each of [server, control]) {
        each.closeAllConnections();
        each.close();
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM'); // lets QEMU unmount by itself
  await gone;
}

function makeWorld(ids: Stage['ids']): World {
  const vm = (id: string, name: string, status: string, comment = ''): Row => ({ id, name, status, comment });
  const [template, templateDisk] = [randomUUID(), randomUUID()];
  const world: World = new Map<string, Row>([
    ['/vms', { vm: [vm(ids.demo, 'demo', 'up'), vm(ids.appliance, 'appliance', 'up'), vm(ids.stopped, 'stopped', 'down'), vm(ids.restored, 'restored', 'down', 'Holdfast restore of the past')] }],
    ['/disks', { disk: [
      { id: ids.disk, alias: 'system', status: 'ok', content_type: 'data', image_id: ids.active },
      { id: templateDisk, alias: 'golden', status: 'ok', content_type: 'data' },
      { id: randomUUID(), alias: 'OVF_STORE', status: 'ok', content_type: 'ovf_store' },
    ] }],
    ['/templates', { template: [{ id: template, name: 'golden' }] }],
    [`/templates/${template}/diskattachments`, { disk_attachment: [{ id: templateDisk, disk: { id: templateDisk } }] }],
    ['/imagetransfers', { image_transfer: [{ id: randomUUID(), phase: 'finished_success', direction: 'download', image: { id: ids.disk } }] }],
    ['/jobs', { job: [{ id: randomUUID(), description: 'Adding Disk', status: 'finished' }] }],
  ]);
  for (const id of [ids.demo, ids.appliance, ids.stopped, ids.restored]) {
    world.set(`/vms/${id}/snapshots`, { snapshot: [{ id, description: 'Active VM', snapshot_status: 'ok', snapshot_type: 'active' }] });
    world.set(`/vms/${id}/snapshots/${id}/disks`, {});
    for (const collection of ['diskattachments', 'backups', 'checkpoints']) world.set(`/vms/${id}/${collection}`, {});
  }
  const userSnapshot = randomUUID();
  rows(world, `/vms/${ids.demo}/snapshots`, 'snapshot').push({ id: userSnapshot, description: 'before the upgrade', snapshot_status: 'ok', snapshot_type: 'regular' });
  world.set(`/vms/${ids.demo}/snapshots/${userSnapshot}/disks`, { disk: [{ id: ids.disk, image_id: ids.base }] });
  rows(world, `/vms/${ids.demo}/diskattachments`, 'disk_attachment').push({ id: ids.disk, active: 'true', disk: { id: ids.disk } });
  return world;
}

/** The rows of a collection, for changing them. */
export function rows(world: World, collection: string, element: string): Row[] {
  const found = world.get(collection) ?? {};
  world.set(collection, found);
  return (found[element] ??= []) as Row[];
}

export interface Certificate {
  readonly file: string;
  readonly key: string;
  readonly cert: string;
}

export async function makeCertificate(directory: string): Promise<Certificate> {
  const [keyFile, file] = [path.join(directory, 'key.pem'), path.join(directory, 'cert.pem')];
  await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile, '-out', file, '-days', '2', '-subj', '/CN=stage', '-addext', 'subjectAltName=IP:127.0.0.1']);
  return { file, key: await readFile(keyFile, 'utf8'), cert: await readFile(file, 'utf8') };
}

async function serve(world: World, { key, cert }: Certificate): Promise<Server> {
  const expected = `Basic ${Buffer.from('admin@internal:secret').toString('base64')}`;
  const server = createServer({ key, cert }, (request, response) => {
    const row = world.get((request.url ?? '').replace('/ovirt-engine/api', ''));
    const status = request.headers.authorization !== expected ? 401 : row === undefined ? 404 : 200;
    response.writeHead(status, { 'content-type': 'application/json' }).end(status === 200 ? JSON.stringify(row) : '');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function makeRepository(repository: string, vmId: string, diskId: string): Promise<string> {
  const backup = path.join(repository, 'vms', vmId, randomUUID());
  await mkdir(backup, { recursive: true });
  await writeFile(path.join(repository, 'holdfast-repository.json'), '{}');
  for (const name of ['manifest.json', 'vm.ovf', `${diskId}.qcow2`, `${diskId}.digests`]) await writeFile(path.join(backup, name), 'x');
  return backup;
}

/** The demo's QEMU with its two-layer disk, exported into the by-id directory by FUSE, or by NBD where FUSE is missing. */
async function plugDemo({ labState, runDirectory, demoDirectory, ids, start }: Pick<Stage, 'labState' | 'runDirectory' | 'demoDirectory' | 'ids' | 'start'>): Promise<ChildProcess> {
  const imageDirectory = path.join(labState, 'sd', randomUUID(), 'images', ids.disk);
  await mkdir(imageDirectory, { recursive: true });
  const [base, active] = [path.join(imageDirectory, ids.base), path.join(imageDirectory, ids.active)];
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', base, '8M']);
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', ids.base, '-F', 'qcow2', active]);
  await writeFile(`${base}.meta`, '{}');
  for (const name of ['by-id', 'overlays']) await mkdir(path.join(demoDirectory, name), { recursive: true });
  const [qmp, observe] = [path.join(runDirectory, 'q'), path.join(runDirectory, 'o')];
  const qemu = await start('qemu-system-x86_64', ['-machine', 'none', '-nodefaults', '-display', 'none', '-uuid', ids.demo, '-qmp', `unix:${qmp},server=on,wait=off`, '-qmp', `unix:${observe},server=on,wait=off`]);
  await writeFile(path.join(demoDirectory, 'sockets.json'), JSON.stringify({ qmp, observe }));
  const disk = [
    { execute: 'blockdev-add', arguments: { driver: 'qcow2', 'node-name': 'base', 'read-only': true, file: { driver: 'file', filename: base }, backing: null } },
    { execute: 'blockdev-add', arguments: { driver: 'qcow2', 'node-name': 'active', file: { driver: 'file', filename: active }, backing: 'base' } },
  ];
  const [file, nbd] = [path.join(runDirectory, 'export'), path.join(runDirectory, 'n')];
  if (fuseWorks) await writeFile(file, '');
  const serving = fuseWorks
    ? [{ execute: 'block-export-add', arguments: { type: 'fuse', id: 'export', 'node-name': 'active', mountpoint: file, writable: false, 'allow-other': 'off' } }]
    : [{ execute: 'nbd-server-start', arguments: { addr: { type: 'unix', data: { path: nbd } } } }, { execute: 'block-export-add', arguments: { type: 'nbd', id: 'export', 'node-name': 'active', name: ids.disk } }];
  await untilAnswered(qmp, [...disk, ...serving]);
  await symlink(fuseWorks ? file : nbd, path.join(demoDirectory, 'by-id', `scsi-0QEMU_QEMU_HARDDISK_${ids.disk}`));
  return qemu;
}

async function untilAnswered(socketPath: string, questions: readonly object[]): Promise<void> {
  for (const deadline = Date.now() + 20_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    try {
      await askQemu(socketPath, [{ execute: 'query-status' }]);
      break;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
  await askQemu(socketPath, questions);
}
