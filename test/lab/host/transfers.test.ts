// What image transfers read and write: volumes served by processes of their own, and the real ovirt-imageio daemon before them, over TLS and over its
// unix socket, with its tickets, its death and its restart.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import https from 'node:https';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NewVolume } from '../../../lab/host';
import { lookAtProcesses } from '../../support/leftovers/processes';
import { client, download, expectEqual, get, openBackupLab, reference, ticketFor, type BackupLab, type Extent } from './backup-lab';
import { newVolume, ref, startVm, plainDisk } from './lab-host';

jest.setTimeout(120_000);

const MiB = 1024 * 1024;
let backups: BackupLab;
beforeAll(async () => {
  backups = await openBackupLab();
});
afterAll(async () => {
  const { stateDir } = backups.lab;
  await backups.close();
  expect(await lookAtProcesses([stateDir], undefined)).toEqual([]);
});

const plain = { writable: false, shallow: false, asFile: false } as const;
const serve = (volume: NewVolume, options: Partial<typeof plain | { writable: true; shallow: true; asFile: true }> = {}, transferId: string = randomUUID()) =>
  backups.lab.host.backups.exportVolume({ transferId, volume: ref(volume), ...plain, ...options });
const write = (volume: NewVolume, ...commands: string[]): void =>
  void execFileSync('qemu-io', ['-f', volume.format === 'cow' ? 'qcow2' : 'raw', ...commands.flatMap((command) => ['-c', command]), backups.lab.host.volumePath(volume)], { stdio: 'ignore' });

/** A volume with data on another one with data. */
async function layered(): Promise<{ readonly base: NewVolume; readonly top: NewVolume }> {
  const { host } = backups.lab;
  const base = newVolume(backups.lab);
  const top = newVolume(backups.lab, { ...base, volumeId: randomUUID(), backing: { volumeId: base.volumeId, format: 'cow' } });
  await host.createVolume(base);
  write(base, 'write -P 1 0 4M');
  await host.createVolume(top);
  write(top, 'write -P 2 8M 1M', 'write -z 0 1M');
  return { base, top };
}

async function extents(url: string): Promise<readonly Extent[]> {
  const { status, body } = await get(backups, url);
  expect(status).toBe(200);
  return JSON.parse(body.toString()) as Extent[];
}

it('a volume is served with its chain, alone, or as the file it is', async () => {
  const { imageio } = backups;
  const { top } = await layered();
  const whole = await serve(top);
  expect(whole).toMatchObject({ sizeBytes: 64 * MiB, dirty: false });
  await expectEqual(await download(backups, whole), await reference(backups, whole));

  const shallow = ticketFor(await serve(top, { shallow: true }));
  await imageio.addTicket(shallow);
  expect(await extents(`/images/${shallow.uuid}/extents`)).toEqual([
    { start: 0, length: MiB, zero: true, hole: false },
    { start: MiB, length: 7 * MiB, zero: true, hole: true },
    { start: 8 * MiB, length: MiB, zero: false, hole: false },
    { start: 9 * MiB, length: 55 * MiB, zero: true, hole: true },
  ]);

  const bytes = await fs.readFile(backups.lab.host.volumePath(top));
  const file = ticketFor(await serve(top, { asFile: true }));
  expect(file.sizeBytes).toBe(bytes.length);
  await imageio.addTicket(file);
  const { status, body } = await get(backups, `/images/${file.uuid}`);
  expect([status, body.equals(bytes)]).toEqual([200, true]);
});

it('an upload writes the volume, and bitmaps notice it', async () => {
  const { host } = backups.lab;
  const { top: source } = await layered();
  const target = newVolume(backups.lab);
  await host.createVolume(target);
  const checkpointId = randomUUID();
  await host.backups.addBitmaps([{ disk: plainDisk(target), toCheckpointId: checkpointId }]);
  const transferId = randomUUID();
  const ticket = ticketFor(await serve(target, { writable: true }, transferId), { ops: ['write'] });
  await backups.imageio.addTicket(ticket);
  await client(backups, 'upload', ticket, host.volumePath(source));
  expect((await backups.imageio.ticketState(ticket.uuid))?.transferredBytes).toBeGreaterThan(4 * MiB);
  await expect(serve(target, { writable: true })).rejects.toMatchObject({ code: 'volume-in-use' });
  await expect(serve(target)).rejects.toMatchObject({ code: 'volume-in-use' });
  await host.backups.endExport(transferId);
  await host.backups.endExport(transferId);
  execFileSync('qemu-img', ['compare', '-q', '-f', 'qcow2', '-F', 'qcow2', host.volumePath(target), host.volumePath(source)]);
  expect(await host.backups.bitmaps(randomUUID(), target)).toMatchObject([{ name: checkpointId, inconsistent: false }]);

  const vmId = await startVm(backups.lab, 'owner', [plainDisk(target)]);
  await expect(serve(target, { writable: true })).rejects.toMatchObject({ code: 'volume-in-use' });
  await expect(serve(target, { asFile: true })).rejects.toMatchObject({ code: 'volume-in-use' });
  await host.backups.resizeVolume(vmId, target, 96 * MiB);
  await host.stopVm(vmId);
  await host.backups.resizeVolume(undefined, target, 128 * MiB);
  expect((await host.volumeInfo(target)).virtualBytes).toBe(128 * MiB);
  expect(await host.backups.bitmaps(vmId, target)).toMatchObject([{ name: checkpointId, inconsistent: false }]);
});

it('tickets live and die as the daemon has it', async () => {
  const { top } = await layered();
  const served = await serve(top);
  const ticket = ticketFor(served, { timeoutSeconds: 100 });
  await backups.imageio.addTicket(ticket);
  expect(await backups.imageio.ticketState(ticket.uuid)).toMatchObject({ active: false, canceled: false });
  await backups.imageio.extendTicket(ticket.uuid, 300);
  await expect(backups.imageio.extendTicket(randomUUID(), 300)).rejects.toMatchObject({ code: 'imageio-unavailable' });
  expect(await backups.imageio.ticketState(randomUUID())).toBeUndefined();
  expect((await get(backups, `/images/${randomUUID()}`)).status).toBe(403);
  expect(JSON.parse((await get(backups, `/images/${ticket.uuid}/extents`)).body.toString())).not.toHaveLength(0);

  // A reader that does not read keeps its request running.
  const slow = https.get(`${backups.imageio.address().url}/images/${ticket.uuid}`, { ca: await fs.readFile(backups.ca), agent: false });
  const answered = new Promise<void>((resolve) => {
    slow.once('response', (response) => {
      response.pause();
      resolve();
    });
  });
  slow.on('error', () => undefined);
  await answered;
  expect(await backups.imageio.ticketState(ticket.uuid)).toMatchObject({ active: true });
  await expect(backups.imageio.removeTicket(ticket.uuid)).rejects.toMatchObject({ code: 'ticket-busy' });
  slow.destroy();
  for (const deadline = Date.now() + 30_000; (await backups.imageio.removeTicket(ticket.uuid).catch(() => 'busy')) === 'busy' && Date.now() < deadline; );
  expect(await backups.imageio.ticketState(ticket.uuid)).toBeUndefined();
  await backups.imageio.removeTicket(ticket.uuid);
});

it('a lab that comes back finds daemon, tickets and exports; a daemon that dies comes back without its tickets', async () => {
  const { top } = await layered();
  const transferId = randomUUID();
  const served = await serve(top, {}, transferId);
  const ticket = ticketFor(served);
  await backups.imageio.addTicket(ticket);
  const before = backups.imageio.address();
  await backups.reopen();
  expect(backups.imageio.address()).toEqual(before);
  expect(await serve(top, {}, transferId)).toEqual(served);
  await client(backups, 'download', ticket, path.join(backups.lab.stateDir, 'after-restart.qcow2'));

  const found = await daemons();
  expect(found).toHaveLength(1);
  expect((await lookAtProcesses([backups.lab.stateDir], undefined)).map(({ what, object }) => [what, object])).toContainEqual(['stray-imageio-daemon', String(found[0])]);
  process.kill(found[0] ?? 0, 'SIGKILL');
  for (const deadline = Date.now() + 30_000; Date.now() < deadline && (await backups.imageio.ticketState(ticket.uuid).catch(() => 'away')) !== undefined; ) await sleep(50);
  expect(backups.warnings.join()).toMatch(/started again/);
  expect(backups.imageio.address()).toEqual(before);
  expect((await get(backups, `/images/${ticket.uuid}`)).status).toBe(403);
  await expectEqual(await download(backups, served), await reference(backups, served));
});

it('an export whose process has died is cleared away and served anew', async () => {
  const { top } = await layered();
  const transferId = randomUUID();
  const served = await serve(top, {}, transferId);
  process.kill(Number(await fs.readFile(path.join(backups.lab.stateDir, 'exports', transferId, 'pid'), 'utf8')), 'SIGKILL');
  await sleep(200);
  expect(await serve(top, {}, transferId)).toEqual(served);
  await reference(backups, served);
  await backups.lab.host.backups.endExport(transferId);
  await expect(fs.readdir(path.join(backups.lab.stateDir, 'exports', transferId))).rejects.toMatchObject({ code: 'ENOENT' });
});

/** By what the outside look goes by: the daemon's own words on its command line. */
async function daemons(): Promise<number[]> {
  const pids: number[] = [];
  for (const name of await fs.readdir('/proc')) {
    const words = (await fs.readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (words.includes(path.join(backups.lab.stateDir, 'imageio'))) pids.push(Number(name));
  }
  return pids;
}
