// Copies through image transfers against the real data daemon: in full, what changed, back again, with the host as a witness; what a lost ticket,
// a cancel, a foreign disk and rotten bytes do. The engine is the fake one: its transfers lead to the daemon's tickets.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createMoverCopyActivities, type MoverCopyActivities } from '../../activities';
import type { ImageOfRun } from '../../activities/copies';
import type { BackupRef, Repository } from '../../adapters/repository/port';
import type { HoldfastError } from '../../domain/failures';
import { independentDigests, MiB, qemuImg, until, useDirectory } from '../adapters/blocks/support';
import { newDisk, type Disk } from '../adapters/imageio/imageio.contract';
import { startRealDaemon, type RealDaemon } from '../adapters/imageio/real-daemon';
import type { StandTicket, TicketRequest } from '../adapters/imageio/stand';
import { factsOf, newRepository, ovf, settingsOf, unsealed } from '../adapters/repository/support';
import { FakeEngine } from '../fakes/fake-engine';
import { fakeDisk } from '../fakes/fake-world';
import { failureOf } from './desk';

const directory = useDirectory();
let daemon: RealDaemon;
let repository: Repository;
let path: string;
beforeAll(async () => {
  daemon = await startRealDaemon(join(directory.path, 'd'));
}, 120_000);
afterAll(() => daemon.stop());

let engine: FakeEngine;
let tickets: StandTicket[];
let disk: Disk;
let virtualBytes: number;
let vmId: string;
let diskId: string;
let runId: string;
let inactivityTimeoutSeconds: number;
beforeEach(async () => {
  ({ repository, path } = await newRepository(directory.path));
  Object.assign((engine = new FakeEngine()), { looks: 0 });
  [tickets, disk, vmId, diskId, runId, inactivityTimeoutSeconds] = [[], newDisk(directory.path), randomUUID(), randomUUID(), randomUUID(), 600];
  virtualBytes = disk.content.length;
});
afterEach(async () => {
  for (const ticket of tickets) await ticket.end();
});

/** An image transfer whose ticket is at the real daemon. */
async function transfer(ofDiskId: string, request: TicketRequest): Promise<{ readonly transferId: string; readonly ticket: StandTicket }> {
  const ticket = await daemon.ticket(request);
  tickets.push(ticket);
  engine.disks.set(ofDiskId, fakeDisk('demo_Disk1', { settings: { diskId: ofDiskId, virtualBytes } }));
  const direction = request.op === 'read' ? 'download' : 'upload';
  const { id } = await engine.createTransfer({ diskId: ofDiskId, direction, inactivityTimeoutSeconds: 60, timeoutPolicy: 'legacy', correlationId: randomUUID() });
  const { urlOf } = engine;
  engine.urlOf = (each) => (each.id === id ? ticket.transferUrl : urlOf(each));
  await engine.getTransfer(id);
  return { transferId: id, ticket };
}
const download = (more: Partial<TicketRequest> = {}) => transfer(diskId, { image: disk.image, op: 'read', ...more });

type Name = keyof MoverCopyActivities;
interface Attempt<Answer> {
  readonly answer: Promise<Answer>;
  readonly heartbeats: readonly object[];
  cancel(): void;
}

function begin<N extends Name>(name: N, input: Parameters<MoverCopyActivities[N]>[0], heartbeatDetails?: object): Attempt<Awaited<ReturnType<MoverCopyActivities[N]>>> {
  const activities = createMoverCopyActivities({
    repositoryOf: () => repository, engineOf: () => engine, now: () => new Date(), heartbeatMs: 50,
    imageioOf: () => ({ ...daemon.options, proxy: 'never', connections: 4, inactivityTimeoutSeconds }),
  });
  const client = { withAbortSignal: (_: AbortSignal, work: () => unknown) => work(), workflow: { getHandle: () => ({ signal: () => Promise.resolve() }) } } as unknown as Client;
  const environment = new MockActivityEnvironment({ heartbeatDetails }, { client, logger: new DefaultLogger('ERROR') });
  const heartbeats: object[] = [];
  environment.on('heartbeat', (details: object) => heartbeats.push(details));
  type Answer = Awaited<ReturnType<MoverCopyActivities[N]>>;
  type Run = (asked: typeof input) => Promise<Answer>;
  const answer = environment.run<[typeof input], Answer, Run>(activities[name] as Run, input);
  return { answer, heartbeats, cancel: () => environment.cancel() };
}
const attempt = <N extends Name>(name: N, input: Parameters<MoverCopyActivities[N]>[0]) => begin(name, input).answer;

const image = (backupId: string, changes: Partial<ImageOfRun> = {}): ImageOfRun => ({ engine: 'lab', runId, repository: 'primary', vmId, backupId, diskId, virtualBytes, ...changes });
const refOf = (backupId: string): BackupRef => ({ vmId, backupId });
const rootOfDisk = (): string => independentDigests(disk.image, 'qcow2').root;

async function newBackup(): Promise<string> {
  const backupId = randomUUID();
  await repository.saveConfiguration(refOf(backupId), ovf, [settingsOf(diskId, virtualBytes)]);
  return backupId;
}

async function sealed(backupId: string, baseBackupId: string | null, settings = settingsOf(diskId, virtualBytes)): Promise<void> {
  const manifest = { ...unsealed({ ref: refOf(backupId), diskId, runId }), method: 'transfer' as const };
  await repository.seal(refOf(backupId), baseBackupId === null ? manifest : { ...manifest, kind: 'incremental', base: { backupId: baseBackupId } }, [{ ...factsOf(diskId, virtualBytes), settings }], 'now');
}

/** The whole disk, sealed. */
async function fullBackup(settings = settingsOf(diskId, virtualBytes)): Promise<string> {
  const backupId = await newBackup();
  const { transferId, ticket } = await download();
  await attempt('backupDiskByTransfer', { ...image(backupId), transferId, source: 'vm-backup-1', baseBackupId: null });
  await ticket.end();
  await sealed(backupId, null, settings);
  return backupId;
}

test('a whole disk is what the daemon shows; the host\'s checksum of the partial backup is its root, and that of the sealed one too', async () => {
  const backupId = await newBackup();
  const { transferId } = await download();
  const done = await attempt('backupDiskByTransfer', { ...image(backupId), transferId, source: 'vm-backup-1', baseBackupId: null });
  expect(done).toEqual({ dataBytes: expect.any(Number) as number, transport: 'socket' });
  expect(done.dataBytes).toBeLessThan(12 * MiB);
  expect(await attempt('witnessTransfer', { ...image(backupId), transferId })).toEqual({ root: rootOfDisk() });
  await sealed(backupId, null);
  expect(await attempt('witnessTransfer', { ...image(backupId), transferId })).toEqual({ root: rootOfDisk() });
  expect(qemuImg('compare', '-U', disk.image, join(path, 'vms', vmId, backupId, `${diskId}.qcow2`))).toContain('identical');
});

test('on a base only what changed is read, and the chain verifies', async () => {
  const base = await fullBackup();
  qemuImg('bitmap', '--add', '-g', '65536', disk.image, 'since');
  execFileSync('qemu-io', ['-c', `write -q -P 7 ${6 * MiB + 100} 5000`, '-c', `write -q -z ${9 * MiB} 256k`, disk.image]);
  const backupId = await newBackup();
  const { transferId, ticket } = await download({ bitmap: 'since' });
  expect(await attempt('backupDiskByTransfer', { ...image(backupId), transferId, source: 'vm-backup-2', baseBackupId: base })).toMatchObject({ dataBytes: 65536 });
  const { root } = await attempt('witnessTransfer', { ...image(backupId), transferId });
  await ticket.end();
  expect(root).toBe(rootOfDisk());
  await sealed(backupId, base);
  expect(await attempt('verifyDisk', { ...image(backupId), from: { positionBytes: 0, dataBytes: 0 } })).toMatchObject({ root });
});

test('on a base without a list of changes it is a failure of its own, before anything is copied', async () => {
  const base = await fullBackup();
  const { transferId } = await download();
  expect(await failureOf(attempt('backupDiskByTransfer', { ...image(await newBackup()), transferId, source: 'vm-backup-2', baseBackupId: base }))).toMatchObject({ type: 'imageio.no-changes', nonRetryable: true });
});

test('a lying list of changes is found by the host\'s checksum, which names the disk', async () => {
  const base = await fullBackup();
  execFileSync('qemu-io', ['-c', 'write -q -P 9 1M 64k', disk.image]);
  qemuImg('bitmap', '--add', '-g', '65536', disk.image, 'since');
  const backupId = await newBackup();
  const { transferId } = await download({ bitmap: 'since' });
  await attempt('backupDiskByTransfer', { ...image(backupId), transferId, source: 'vm-backup-2', baseBackupId: base });
  expect(await failureOf(attempt('witnessTransfer', { ...image(backupId), transferId }))).toMatchObject({ type: 'digest.mismatch', nonRetryable: true, message: expect.stringContaining(diskId) as string });
});

test('a cancelled attempt goes on at its durable position, through another transfer of the same VM backup; of another one it begins anew', async () => {
  const backupId = await newBackup();
  const first = await download();
  const slow = begin('backupDiskByTransfer', { ...image(backupId, { bandwidthBytesPerSecond: 3 * MiB }), transferId: first.transferId, source: 'vm-backup-1', baseBackupId: null });
  await until(() => slow.heartbeats.some((each) => 'positionBytes' in each && Number(each.positionBytes) >= 6 * MiB));
  slow.cancel();
  await expect(slow.answer).rejects.toMatchObject({ name: 'CancelledFailure' });
  await first.ticket.end();
  const positionOf = async (source: string): Promise<number> => {
    const opened = await repository.openPartialImage(refOf(backupId), diskId, virtualBytes, { owner: 'test', source });
    await opened.close();
    return opened.positionBytes;
  };
  expect(await positionOf('vm-backup-1')).toBeGreaterThanOrEqual(6 * MiB);
  const { transferId } = await download();
  const again = begin('backupDiskByTransfer', { ...image(backupId), transferId, source: 'vm-backup-1', baseBackupId: null });
  await again.answer;
  expect(again.heartbeats.every((each) => !('positionBytes' in each) || Number(each.positionBytes) >= 6 * MiB)).toBe(true);
  expect(await attempt('witnessTransfer', { ...image(backupId), transferId })).toEqual({ root: rootOfDisk() });
  expect(await positionOf('vm-backup-2')).toBe(0);
});

test('while nothing is read the engine hears that somebody is there', async () => {
  inactivityTimeoutSeconds = 0.3;
  const { transferId } = await download();
  await attempt('backupDiskByTransfer', { ...image(await newBackup(), { bandwidthBytesPerSecond: 12 * MiB }), transferId, source: 'vm-backup-1', baseBackupId: null });
  expect(engine.countOf('extendTransfer')).toBeGreaterThan(1);
});

describe('a ticket that is gone is the flow\'s to replace: it is not tried again and never named', () => {
  const copy = async (transferId: string) => failureOf(attempt('backupDiskByTransfer', { ...image(await newBackup()), transferId, source: 'vm-backup-1', baseBackupId: null }));
  const gone = { type: 'imageio.ticket-gone', nonRetryable: true };

  test('forgotten by the engine, or paused, or over', async () => {
    expect(await copy(randomUUID())).toMatchObject(gone);
    for (const phase of ['paused_system', 'finalizing_failure', 'finished_failure'] as const) {
      const { transferId } = await transfer(randomUUID(), { image: disk.image, op: 'read' });
      Object.assign(engine.transfers.get(transferId) ?? {}, { phase, moving: undefined });
      expect(await copy(transferId)).toMatchObject({ ...gone, message: expect.stringContaining(phase) as string });
    }
  });

  test('refused by the daemon', async () => {
    const { transferId, ticket } = await download();
    await ticket.cancel();
    const failure = await copy(transferId);
    expect(failure).toMatchObject(gone);
    expect(JSON.stringify([failure, failure.message])).not.toContain(ticket.uuid);
  });
});

test('a transfer of another disk, or in the other direction, is not touched', async () => {
  const other = await transfer(randomUUID(), { image: disk.image, op: 'read' });
  expect(await failureOf(attempt('backupDiskByTransfer', { ...image(await newBackup()), transferId: other.transferId, source: 'vm-backup-1', baseBackupId: null }))).toMatchObject({ type: 'device.foreign', nonRetryable: true });
  const upload = await transfer(diskId, { image: newDisk(directory.path).image, op: 'write' });
  expect(await failureOf(attempt('backupDiskByTransfer', { ...image(await newBackup()), transferId: upload.transferId, source: 'vm-backup-1', baseBackupId: null }))).toMatchObject({ type: 'device.foreign' });
});

describe('a restore', () => {
  const from = { positionBytes: 0, dataBytes: 0 };
  const blank = (): string => {
    const file = join(directory.path, `${randomUUID()}.qcow2`);
    qemuImg('create', '-q', '-f', 'qcow2', file, String(virtualBytes));
    return file;
  };

  test('writes what was backed up into a disk of ours, and the host proves it before it is finalized', async () => {
    const backupId = await fullBackup();
    const targetDiskId = randomUUID();
    const { transferId, ticket } = await transfer(targetDiskId, { image: blank(), op: 'write' });
    const input = { ...image(backupId), targetDiskId, transferId, heldDiskIds: [targetDiskId], from };
    await attempt('restoreDiskByTransfer', input);
    expect(await attempt('witnessTransfer', { ...image(backupId), transferId, targetDiskId })).toEqual({ root: rootOfDisk() });
    expect(readFileSync(await ticket.content()).equals(disk.content)).toBe(true);
  });

  test('a disk that shows old bytes, as preallocated ones may, is zeroed where the backup has zeroes', async () => {
    const backupId = await fullBackup({ ...settingsOf(diskId, virtualBytes), format: 'raw', sparse: false });
    const target = blank();
    execFileSync('qemu-io', ['-c', `write -q -P 255 0 ${virtualBytes}`, target]);
    const targetDiskId = randomUUID();
    const { transferId } = await transfer(targetDiskId, { image: target, op: 'write' });
    await attempt('restoreDiskByTransfer', { ...image(backupId), targetDiskId, transferId, heldDiskIds: [targetDiskId], from });
    expect(await attempt('witnessTransfer', { ...image(backupId), transferId, targetDiskId })).toEqual({ root: rootOfDisk() });
  });

  test('goes on where an earlier attempt got to', async () => {
    const backupId = await fullBackup();
    const targetDiskId = randomUUID();
    const { transferId } = await transfer(targetDiskId, { image: blank(), op: 'write' });
    const input = { ...image(backupId), targetDiskId, transferId, heldDiskIds: [targetDiskId], from };
    const slow = begin('restoreDiskByTransfer', { ...input, bandwidthBytesPerSecond: 3 * MiB });
    const positions = (): number[] => slow.heartbeats.map((each) => ('restored' in each ? (each.restored as { positionBytes: number }).positionBytes : 0));
    await until(() => Math.max(0, ...positions()) >= 6 * MiB);
    slow.cancel();
    await expect(slow.answer).rejects.toMatchObject({ name: 'CancelledFailure' });
    const last = slow.heartbeats.at(-1);
    const again = begin('restoreDiskByTransfer', input, last);
    await again.answer;
    expect(again.heartbeats.every((each) => 'restored' in each && (each.restored as { positionBytes: number }).positionBytes >= 6 * MiB)).toBe(true);
    expect(await attempt('witnessTransfer', { ...image(backupId), transferId, targetDiskId })).toEqual({ root: rootOfDisk() });
  });

  test('writes to no disk that the run does not hold, and through no transfer of another disk', async () => {
    const backupId = await fullBackup();
    const [targetDiskId, otherId] = [randomUUID(), randomUUID()];
    const target = blank();
    const { transferId, ticket } = await transfer(otherId, { image: target, op: 'write' });
    const input = { ...image(backupId), targetDiskId, transferId, heldDiskIds: [targetDiskId], from };
    expect(await failureOf(attempt('restoreDiskByTransfer', { ...input, heldDiskIds: [] }))).toMatchObject({ type: 'device.foreign' });
    expect(await failureOf(attempt('restoreDiskByTransfer', input))).toMatchObject({ type: 'device.foreign' });
    expect(readFileSync(await ticket.content()).every((byte) => byte === 0)).toBe(true);
  });

  test('what was written wrongly is not proven: another root, or another size', async () => {
    const backupId = await fullBackup();
    const targetDiskId = randomUUID();
    const { transferId } = await transfer(targetDiskId, { image: blank(), op: 'write' });
    expect(await failureOf(attempt('witnessTransfer', { ...image(backupId), transferId, targetDiskId }))).toMatchObject({ type: 'digest.mismatch', message: expect.stringContaining(targetDiskId) as string });
    expect(await failureOf(attempt('witnessTransfer', { ...image(backupId, { virtualBytes: virtualBytes + 512 }), transferId, targetDiskId }))).toMatchObject({ type: 'digest.mismatch', message: expect.stringContaining('bytes') as string });
  });
});

test('the witness is not asked about what is not copied to its end', async () => {
  const { transferId } = await download();
  expect(await failureOf(attempt('witnessTransfer', { ...image(await newBackup()), transferId }))).toMatchObject({ type: 'backup.not-sealed' });
});

describe('verifying', () => {
  const start = { positionBytes: 0, dataBytes: 0 };
  const imageFile = (backupId: string): string => join(path, 'vms', vmId, backupId, `${diskId}.qcow2`);

  test('reads all of it, goes on where an earlier attempt got to, and counts what that one read', async () => {
    const backupId = await fullBackup();
    const whole = begin('verifyDisk', { ...image(backupId, { bandwidthBytesPerSecond: 6 * MiB }), from: start });
    const { root, dataBytes } = await whole.answer;
    expect({ root, isMuch: dataBytes > 8 * MiB }).toEqual({ root: rootOfDisk(), isMuch: true });
    const [seen] = whole.heartbeats.flatMap((each) => ('verified' in each ? [each.verified as typeof start] : [])).filter(({ positionBytes }) => positionBytes > 0 && positionBytes < virtualBytes);
    if (!seen) throw new Error('it was never seen in the middle');
    // Below the position nothing is read: bytes that rot there are found by the next verification, not by this one.
    const [{ start: at } = { start: 0 }] = (JSON.parse(qemuImg('map', '--output=json', imageFile(backupId))) as { start: number; offset?: number; data: boolean }[]).filter(({ data }) => data).map(({ offset = 0 }) => ({ start: offset }));
    const bytes = readFileSync(imageFile(backupId));
    bytes.fill(0xee, at, at + 512);
    writeFileSync(imageFile(backupId), bytes);
    expect(await attempt('verifyDisk', { ...image(backupId), from: seen })).toEqual({ root, dataBytes });
    expect(await begin('verifyDisk', { ...image(backupId), from: start }, { verified: seen }).answer).toEqual({ root, dataBytes });
    expect(await failureOf(attempt('verifyDisk', { ...image(backupId), from: start }))).toMatchObject({ type: 'digest.mismatch', nonRetryable: true });
  });

  test('a backup whose base is gone is a broken chain', async () => {
    const base = await fullBackup();
    qemuImg('bitmap', '--add', '-g', '65536', disk.image, 'since');
    const backupId = await newBackup();
    const { transferId } = await download({ bitmap: 'since' });
    await attempt('backupDiskByTransfer', { ...image(backupId), transferId, source: 'vm-backup-2', baseBackupId: base });
    await sealed(backupId, base);
    execFileSync('rm', ['-r', join(path, 'vms', vmId, base)]);
    const failure = await failureOf(attempt('verifyDisk', { ...image(backupId), from: start }));
    expect(failure).toMatchObject({ type: 'chain.broken' satisfies HoldfastError['code'], message: expect.stringContaining(base) as string });
  });
});
