// The official SDK and the official imageio client against the lab on real QEMU and the real daemon: a full, an incremental and a restore, of
// a running and of a stopped VM. Each image must equal what QEMU's own client reads of the same moment.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { activeImage } from '../../../lab/engine/context';
import { checkpointsOf } from '../../../lab/engine/commands/backup-state';
import { finalizeBackup } from '../../../lab/engine/commands/end-backup';
import { startVm, stopVm } from '../../../lab/engine/commands/run-vm';
import { startBackup } from '../../../lab/engine/commands/start-backup';
import { startTransfer } from '../../../lab/engine/commands/start-transfer';
import { isUnfinished } from '../../../lab/engine/state/backup-model';
import { runPython } from '../../support/python';
import { send } from '../engine/lab-client';
import { realLabDeadlineMs, startRealLab, until, type RealLab } from '../engine/real-lab';

const run = promisify(execFile);
const program = path.join(__dirname, 'backup_walk.py');
let lab: RealLab;
let directory: string;
let demoId: string;
let bootDiskId: string;

beforeAll(async () => {
  lab = await startRealLab();
  directory = await mkdtemp(path.join(lab.directory, 'sdk-'));
  const { vms, attachments } = lab.engine.context.store.tables;
  demoId = vms.where(({ name }) => name === 'demo')[0]?.id ?? '';
  bootDiskId = attachments.where(({ vmId, bootable }) => vmId === demoId && bootable)[0]?.diskId ?? '';
  await until('the demo', () => vms.get(demoId)?.status === 'up');
}, realLabDeadlineMs);
afterAll(async () => {
  await lab.remove();
});

interface Seen {
  readonly to_checkpoint: string;
  readonly disks: readonly (readonly string[])[];
  readonly transfers: readonly string[];
  readonly file: string;
  readonly phase: string;
  readonly checkpoints: readonly string[];
  readonly finalize_meanwhile?: number;
}

async function python<T>(...args: readonly string[]): Promise<T> {
  const { code, out, err } = await runPython(program, [lab.connectionFile, ...args], realLabDeadlineMs);
  if (code !== 0) throw new Error(`backup_walk.py ended with ${code}:\n${err}`);
  return JSON.parse(out) as T;
}

/** Runs the program and, while its backup is ready, lets QEMU read the same disk past daemon and client. */
async function backUp(kind: 'live' | 'cold' | 'hybrid', from?: Seen): Promise<Seen> {
  const ending = python<Seen>('backup', directory, kind, ...(from === undefined ? [] : [from.to_checkpoint, from.file]));
  const failed = ending.then(
    () => false,
    () => true,
  );
  while (!existsSync(path.join(directory, 'ready'))) {
    if (await Promise.race([failed, sleep(50, undefined)])) await ending;
  }
  const reference = await readPast();
  await writeFile(path.join(directory, 'go'), '');
  const seen = await ending;
  await expectEqual(seen.file, reference);
  return seen;
}

async function readPast(): Promise<string> {
  const { context } = lab.engine;
  const backup = context.store.tables.backups.where(isUnfinished)[0];
  const disk = backup?.disks.find(({ diskId }) => diskId === bootDiskId);
  const image = context.store.tables.images.get(disk?.imageId);
  if (disk === undefined || image === undefined) throw new Error('no backup is ready');
  const volume = { domainId: image.domainId, diskId: image.diskId, volumeId: image.id };
  const url =
    disk.export?.url ??
    (await context.backups.exportVolume({ transferId: reader, volume, writable: false, shallow: false, asFile: false })).url;
  const file = path.join(directory, `${backup?.id ?? ''}.raw`);
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', url, file]);
  await context.backups.endExport(reader);
  return file;
}
const reader = '99999999-9999-4999-8999-999999999999';

async function expectEqual(image: string, raw: string): Promise<void> {
  const { stdout } = await run('qemu-img', ['compare', '-f', 'qcow2', '-F', 'raw', image, raw]).catch((error: unknown) => {
    throw new Error(`${image} is not ${raw}: ${(error as { stdout?: string }).stdout ?? String(error)}`);
  });
  expect(stdout).toContain('Images are identical');
}

async function write(name: string): Promise<void> {
  const { exitCode, output } = await lab.host.guestExec(
    demoId,
    `dd if=/dev/urandom of=/data/0/${name} bs=1M count=3 2>/dev/null && sync`,
    60_000,
  );
  if (exitCode !== 0) throw new Error(output);
}

const inFull = [
  ['demo_Disk1', 'full'],
  ['demo_Disk2', 'full'],
];
const incremental = [
  ['demo_Disk1', 'incremental'],
  ['demo_Disk2', 'full'],
];

test(
  'a full of the running VM, incrementals live, hybrid and cold, and an upload of the last, which is the disk',
  async () => {
    const full = await backUp('live');
    expect(full).toMatchObject({
      disks: inFull,
      transfers: ['finished_success'],
      phase: 'succeeded',
      finalize_meanwhile: 409,
      checkpoints: [full.to_checkpoint],
    });

    await write('between-full-and-live');
    const live = await backUp('live', full);
    expect(live).toMatchObject({ disks: incremental, phase: 'succeeded', checkpoints: [full.to_checkpoint, live.to_checkpoint] });
    const { stdout } = await run('qemu-img', ['info', '--output=json', live.file]);
    expect((JSON.parse(stdout) as { 'actual-size': number })['actual-size']).toBeLessThan(64 * 2 ** 20);

    await write('between-live-and-hybrid');
    const hybrid = await backUp('hybrid', live);
    expect(hybrid).toMatchObject({ disks: incremental, phase: 'succeeded' });
    await write('between-hybrid-and-cold');

    await stopVm(lab.engine.context, demoId, { user: 'test', correlationId: 'stop' });
    const cold = await backUp('cold', hybrid);
    expect(cold).toMatchObject({
      disks: incremental,
      phase: 'succeeded',
      checkpoints: [full, live, hybrid, cold].map((each) => each.to_checkpoint),
    });

    const up = await python<{ readonly disk: string; readonly status: string }>('upload', cold.file);
    expect(up).toMatchObject({ meanwhile: 'locked', end: 'finished_success', status: 'ok' });
    const image = activeImage(lab.engine.context, up.disk);
    const uploaded = lab.host.volumePath({ domainId: image?.domainId ?? '', diskId: up.disk, volumeId: image?.id ?? '' });
    await run('qemu-img', ['compare', '-f', 'qcow2', '-F', 'qcow2', uploaded, cold.file]);
    expect(lab.engine.context.locks.list()).toEqual([]);
  },
  2 * realLabDeadlineMs,
);

const actor = { user: 'test', correlationId: 'test' };

async function startDemo(): Promise<void> {
  await (
    await startVm(lab.engine.context, demoId, actor)
  ).settled;
  await until('the demo', () => lab.engine.context.store.tables.vms.get(demoId)?.status === 'up');
}

async function begin(fromCheckpointId?: string): Promise<string> {
  const request = { vmId: demoId, description: '', diskIds: [bootDiskId], requireConsistency: false, legacy: true };
  const { backupId, settled } = await startBackup(
    lab.engine.context,
    { ...request, ...(fromCheckpointId === undefined ? {} : { fromCheckpointId }) },
    actor,
  );
  await settled;
  expect(lab.engine.context.store.tables.backups.get(backupId)?.phase).toBe('ready');
  return backupId;
}

async function end(backupId: string): Promise<string> {
  await finalizeBackup(lab.engine.context, demoId, backupId);
  await lab.engine.context.background.idle();
  return lab.engine.context.store.tables.backups.get(backupId)?.toCheckpointId ?? '';
}

/** What the daemon answers to a read of one transfer's ticket. */
async function read(transferId: string): Promise<number> {
  const ticket = lab.engine.context.store.tables.transfers.get(transferId)?.ticket?.id ?? '';
  const url = `${lab.engine.context.imageio.address().url}/images/${ticket}`;
  return (await send('GET', url, lab.engine.caFile, { headers: { Range: 'bytes=0-4095' } })).status;
}

async function download(backupId: string): Promise<string> {
  const request = {
    of: { diskId: bootDiskId },
    backupId,
    direction: 'download',
    format: 'raw',
    shallow: false,
    inactivitySeconds: 60,
    policy: 'legacy',
  } as const;
  return startTransfer(lab.engine.context, request, actor);
}

test(
  'a ready backup outlives its engine and a lost ticket; a killed QEMU ends the chain, and a full begins the next',
  async () => {
    await startDemo();
    const backupId = await begin();
    const first = await download(backupId);
    await lab.engine.restart(0);
    expect([lab.engine.context.store.tables.backups.get(backupId)?.phase, await read(first)]).toEqual(['ready', 206]);
    await lab.engine.context.imageio.removeTicket(lab.engine.context.store.tables.transfers.get(first)?.ticket?.id ?? '');
    expect(await read(first)).toBe(403);
    await until('the poll', () => lab.engine.context.store.tables.transfers.get(first)?.phase === 'finished_failure');
    const second = await download(backupId);
    expect(await read(second)).toBe(206);
    lab.engine.context.store.write(() => {
      lab.engine.context.store.tables.transfers.patch(second, { phase: 'finalizing_success' });
    });
    await until('the end', () => lab.engine.context.store.tables.transfers.get(second)?.phase === 'finished_success');
    const checkpoint = await end(backupId);

    await lab.host.killVm(demoId);
    await until('the demo to be down', () => lab.engine.context.store.tables.vms.get(demoId)?.status === 'down');
    await startDemo();
    await expect(begin(checkpoint)).rejects.toThrow('[]');
    await lab.engine.context.background.idle();
    expect(checkpointsOf(lab.engine.context, demoId)).toEqual([]);
    const fresh = await end(await begin());
    await end(await begin(fresh));
    expect(lab.engine.context.locks.list()).toEqual([]);
  },
  realLabDeadlineMs,
);
