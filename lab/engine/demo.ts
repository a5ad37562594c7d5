// What the demo data center holds, made at the first start: the VMs `demo` with two disks full of files and `appliance` without any,
// and `tiny-template`, whose one small disk has a file system.
// How a volume gets its file system is the host's business and comes in as a function.
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NewVolume } from '../host/port';
import { addNic, profileOfNetwork } from './commands/nics';
import { addVm } from './commands/add-vm';
import { dropDisk } from './commands/remove-disk';
import { record as recordAttachment } from './commands/attach-disk';
import { startVm } from './commands/run-vm';
import { attachmentsOf, thePlace, type Context } from './context';
import { newId, type Actor } from './events';
import type { DiskRecord, VmRecord } from './state/model';

export type MakeFilesystem = (volume: NewVolume, sourceDirectory: string) => Promise<void>;

interface DemoDisk {
  readonly alias: string;
  readonly format: 'cow' | 'raw';
  readonly virtualBytes: number;
  readonly bootable: boolean;
  /** MiB of data that does not compress, and of text that does. */
  readonly randomMib: number;
  readonly textMib: number;
}

const mib = 1024 ** 2;
const demoDisks: readonly DemoDisk[] = [
  { alias: 'demo_Disk1', format: 'cow', virtualBytes: 2048 * mib, bootable: true, randomMib: 96, textMib: 96 },
  { alias: 'demo_Disk2', format: 'raw', virtualBytes: 1024 * mib, bootable: false, randomMib: 48, textMib: 48 },
];
const templateName = 'tiny-template';
const templateDisks: readonly DemoDisk[] = [
  { alias: `${templateName}_Disk1`, format: 'cow', virtualBytes: 64 * mib, bootable: true, randomMib: 1, textMib: 1 },
];
const lookAgainMs = 20;
const actor: Actor = { user: 'admin@internal', correlationId: 'demo' };

/** Ends when its VMs are up: whoever is told of the lab finds `demo` running. */
export async function makeDemo(context: Context, workDirectory: string, makeFilesystem: MakeFilesystem): Promise<void> {
  const { vms } = context.store.tables;
  const started: string[] = [];
  for (const name of ['demo', 'appliance']) {
    if (vms.all().some((vm) => vm.name === name)) continue;
    const disks = name === 'demo' ? await makeDisks(context, demoDisks, workDirectory, makeFilesystem) : [];
    const vm = context.store.write(() => makeVm(context, name, disks));
    await (
      await startVm(context, vm.id, actor)
    ).settled;
    started.push(vm.id);
  }
  await makeTemplate(context, workDirectory, makeFilesystem);
  for (const id of started) while (vms.get(id)?.status === 'powering_up') await sleep(lookAgainMs);
}

async function makeTemplate(context: Context, workDirectory: string, makeFilesystem: MakeFilesystem): Promise<void> {
  const { store } = context;
  if (store.tables.templates.all().some(({ name }) => name === templateName)) return;
  const disks = await makeDisks(context, templateDisks, workDirectory, makeFilesystem);
  store.write(() => {
    for (const { disk } of disks) store.tables.disks.patch(disk.id, { locked: false });
    store.tables.templates.put({
      id: newId(),
      name: templateName,
      description: 'one small disk with a file system',
      clusterId: thePlace(context, 'cluster').id,
      memoryBytes: 512 * mib,
      osType: 'other_linux',
      createdMs: Date.now(),
      disks: disks.map(({ demo, disk }) => ({ diskId: disk.id, interface: 'virtio_scsi', bootable: demo.bootable })),
    });
  });
}

/** Disk rows are written before their files and given an owner afterwards: what has none is an interrupted first start. */
async function makeDisks(
  context: Context,
  wanted: readonly DemoDisk[],
  workDirectory: string,
  makeFilesystem: MakeFilesystem,
): Promise<{ readonly demo: DemoDisk; readonly disk: DiskRecord }[]> {
  const { store, host } = context;
  const domainId = store.tables.domains.all()[0]?.id ?? '';
  for (const leftover of store.tables.disks.where((disk) => wanted.some(({ alias }) => alias === disk.alias))) {
    await host.removeDisk(domainId, leftover.id);
    store.write(() => {
      dropDisk(context, leftover);
    });
  }
  const made = [];
  for (const demo of wanted) made.push({ demo, disk: await makeDisk(context, domainId, demo, workDirectory, makeFilesystem) });
  return made;
}

async function makeDisk(
  { store }: Context,
  domainId: string,
  demo: DemoDisk,
  workDirectory: string,
  makeFilesystem: MakeFilesystem,
): Promise<DiskRecord> {
  const nowMs = Date.now();
  const disk: DiskRecord = {
    id: newId(),
    kind: 'image',
    alias: demo.alias,
    description: '',
    domainId,
    virtualBytes: demo.virtualBytes,
    sparse: true,
    shareable: false,
    wipeAfterDelete: false,
    propagateErrors: false,
    incrementalBackup: demo.format === 'cow',
    locked: true,
    createdMs: nowMs,
  };
  const volumeId = newId();
  store.write(() => {
    store.tables.disks.put(disk);
    store.tables.images.put({ id: volumeId, diskId: disk.id, domainId, format: demo.format, active: true, createdMs: nowMs });
  });
  const source = await mkdtemp(join(workDirectory, 'demo-'));
  try {
    await fill(source, demo);
    await makeFilesystem(
      { domainId, diskId: disk.id, volumeId, format: demo.format, virtualBytes: demo.virtualBytes, sparse: true },
      source,
    );
  } finally {
    await rm(source, { recursive: true, force: true });
  }
  return disk;
}

async function fill(directory: string, { alias, randomMib, textMib }: DemoDisk): Promise<void> {
  const perFile = 16;
  await mkdir(join(directory, 'data'));
  await mkdir(join(directory, 'text'));
  for (let from = 0; from < randomMib; from += perFile)
    await write(join(directory, 'data', `random-${from}.bin`), Math.min(perFile, randomMib - from), () => randomBytes(mib));
  const line = (number: number): string => `${alias}: line ${number} of a text that compresses well, as logs and tables do\n`;
  const page = Buffer.from(Array.from({ length: 20_000 }, (_, number) => line(number)).join('')).subarray(0, mib);
  for (let from = 0; from < textMib; from += perFile) {
    const megabytes = Math.min(perFile, textMib - from);
    await write(join(directory, 'text', `log-${from}.txt`), megabytes, () => page);
  }
}

async function write(path: string, megabytes: number, next: () => Buffer): Promise<void> {
  const chunks = function* (): Generator<Buffer> {
    for (let count = 0; count < megabytes; count += 1) yield next();
  };
  await pipeline(Readable.from(chunks()), createWriteStream(path));
}

function makeVm(context: Context, name: string, disks: readonly { readonly demo: DemoDisk; readonly disk: DiskRecord }[]): VmRecord {
  const vm = addVm(
    context,
    {
      name,
      description: '',
      comment: '',
      clusterId: thePlace(context, 'cluster').id,
      memoryBytes: 1024 * mib,
      sockets: 1,
      cores: 1,
      threads: 1,
      osType: 'other_linux',
      vmType: 1,
      deleteProtected: false,
    },
    actor,
  );
  for (const { demo, disk } of disks) {
    context.store.tables.disks.patch(disk.id, { locked: false });
    recordAttachment(context, vm, disk, {
      vmId: vm.id,
      diskId: disk.id,
      interface: 'virtio_scsi',
      bootable: demo.bootable,
      active: true,
      readOnly: false,
      passDiscard: false,
    });
  }
  addNic(context, vm, {
    name: 'nic1',
    interface: 'virtio',
    mac: undefined,
    profileId: profileOfNetwork(context, 'ovirtmgmt'),
    linked: true,
    plugged: true,
  });
  if (attachmentsOf(context, vm.id).length !== disks.length) throw new Error(`VM ${name} did not get all its disks`);
  return vm;
}
