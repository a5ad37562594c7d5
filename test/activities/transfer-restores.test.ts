// Writing backups back through image transfers at the real data daemon, with the host's proof, and reading backups again where they lie.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MiB, qemuImg, until } from '../adapters/blocks/support';
import { useCopies, type CopyStage } from './copy-stage';
import { failureOf } from './desk';

let stage: CopyStage;
const stageOf = useCopies();
beforeEach(() => {
  stage = stageOf();
});

describe('a restore', () => {
  const from = { positionBytes: 0, dataBytes: 0 };
  const blank = (): string => {
    const file = join(stage.directory, `${randomUUID()}.qcow2`);
    qemuImg('create', '-q', '-f', 'qcow2', file, String(stage.virtualBytes));
    return file;
  };

  test('writes what was backed up into a disk of ours, and the host proves it before it is finalized', async () => {
    const backupId = await stage.fullBackup();
    const targetDiskId = randomUUID();
    const { transferId, ticket } = await stage.transfer(targetDiskId, { image: blank(), op: 'write' });
    const input = { ...stage.image(backupId), targetDiskId, transferId, heldDiskIds: [targetDiskId], from };
    await stage.attempt('restoreDiskByTransfer', input);
    expect(await stage.attempt('witnessTransfer', { ...stage.image(backupId), transferId, targetDiskId })).toEqual({ root: stage.rootOfDisk });
    expect(readFileSync(await ticket.content()).equals(stage.disk.content)).toBe(true);
  });

  test('a disk that shows old bytes, as preallocated ones may, is zeroed where the backup has zeroes', async () => {
    const backupId = await stage.fullBackup({ ...stage.settings, format: 'raw', sparse: false });
    const target = blank();
    execFileSync('qemu-io', ['-c', `write -q -P 255 0 ${stage.virtualBytes}`, target]);
    const targetDiskId = randomUUID();
    const { transferId } = await stage.transfer(targetDiskId, { image: target, op: 'write' });
    await stage.attempt('restoreDiskByTransfer', { ...stage.image(backupId), targetDiskId, transferId, heldDiskIds: [targetDiskId], from });
    expect(await stage.attempt('witnessTransfer', { ...stage.image(backupId), transferId, targetDiskId })).toEqual({ root: stage.rootOfDisk });
  });

  test('goes on where an earlier attempt got to', async () => {
    const backupId = await stage.fullBackup();
    const targetDiskId = randomUUID();
    const { transferId } = await stage.transfer(targetDiskId, { image: blank(), op: 'write' });
    const input = { ...stage.image(backupId), targetDiskId, transferId, heldDiskIds: [targetDiskId], from };
    const slow = stage.begin('restoreDiskByTransfer', { ...input, bandwidthBytesPerSecond: 3 * MiB });
    const positions = (): number[] => slow.heartbeats.map((each) => ('restored' in each ? (each.restored as { positionBytes: number }).positionBytes : 0));
    await until(() => Math.max(0, ...positions()) >= 6 * MiB);
    slow.cancel();
    await expect(slow.answer).rejects.toMatchObject({ name: 'CancelledFailure' });
    const last = slow.heartbeats.at(-1);
    const again = stage.begin('restoreDiskByTransfer', input, last);
    await again.answer;
    expect(again.heartbeats.every((each) => 'restored' in each && (each.restored as { positionBytes: number }).positionBytes >= 6 * MiB)).toBe(true);
    expect(await stage.attempt('witnessTransfer', { ...stage.image(backupId), transferId, targetDiskId })).toEqual({ root: stage.rootOfDisk });
  });

  test('writes to no disk that the run does not hold, and through no transfer of another disk', async () => {
    const backupId = await stage.fullBackup();
    const [targetDiskId, otherId] = [randomUUID(), randomUUID()];
    const target = blank();
    const { transferId, ticket } = await stage.transfer(otherId, { image: target, op: 'write' });
    const input = { ...stage.image(backupId), targetDiskId, transferId, heldDiskIds: [targetDiskId], from };
    expect(await failureOf(stage.attempt('restoreDiskByTransfer', { ...input, heldDiskIds: [] }))).toMatchObject({ type: 'device.foreign' });
    expect(await failureOf(stage.attempt('restoreDiskByTransfer', input))).toMatchObject({ type: 'device.foreign' });
    expect(readFileSync(await ticket.content()).every((byte) => byte === 0)).toBe(true);
  });

  test('what was written wrongly is not proven: another root, or another size', async () => {
    const backupId = await stage.fullBackup();
    const targetDiskId = randomUUID();
    const { transferId } = await stage.transfer(targetDiskId, { image: blank(), op: 'write' });
    expect(await failureOf(stage.attempt('witnessTransfer', { ...stage.image(backupId), transferId, targetDiskId }))).toMatchObject({ type: 'digest.mismatch', message: expect.stringContaining(targetDiskId) as string });
    expect(await failureOf(stage.attempt('witnessTransfer', { ...stage.image(backupId, { virtualBytes: stage.virtualBytes + 512 }), transferId, targetDiskId }))).toMatchObject({ type: 'digest.mismatch', message: expect.stringContaining('bytes') as string });
  });
});

describe('verifying', () => {
  const start = { positionBytes: 0, dataBytes: 0 };

  test('reads all of it, goes on where an earlier attempt got to, and counts what that one read', async () => {
    const backupId = await stage.fullBackup();
    const whole = stage.begin('verifyDisk', { ...stage.image(backupId, { bandwidthBytesPerSecond: 6 * MiB }), from: start });
    const { root, dataBytes } = await whole.answer;
    expect({ root, isMuch: dataBytes > 8 * MiB }).toEqual({ root: stage.rootOfDisk, isMuch: true });
    const [seen] = whole.heartbeats.flatMap((each) => ('verified' in each ? [each.verified as typeof start] : [])).filter(({ positionBytes }) => positionBytes > 0 && positionBytes < stage.virtualBytes);
    if (!seen) throw new Error('it was never seen in the middle');
    // Below the position nothing is read: bytes that rot there are found by the next verification, not by this one.
    const [first] = (JSON.parse(qemuImg('map', '--output=json', stage.imageFile(backupId))) as { offset?: number; data: boolean }[]).filter(({ data }) => data);
    const at = first?.offset ?? 0;
    const bytes = readFileSync(stage.imageFile(backupId));
    bytes.fill(0xee, at, at + 512);
    writeFileSync(stage.imageFile(backupId), bytes);
    expect(await stage.attempt('verifyDisk', { ...stage.image(backupId), from: seen })).toEqual({ root, dataBytes });
    expect(await stage.begin('verifyDisk', { ...stage.image(backupId), from: start }, { verified: seen }).answer).toEqual({ root, dataBytes });
    expect(await failureOf(stage.attempt('verifyDisk', { ...stage.image(backupId), from: start }))).toMatchObject({ type: 'digest.mismatch', nonRetryable: true });
  });

  test('a backup whose base is gone is a broken chain', async () => {
    const base = await stage.fullBackup();
    qemuImg('bitmap', '--add', '-g', '65536', stage.disk.image, 'since');
    const backupId = await stage.newBackup();
    const { transferId } = await stage.download({ bitmap: 'since' });
    await stage.attempt('backupDiskByTransfer', { ...stage.image(backupId), transferId, source: 'vm-backup-2', baseBackupId: base });
    await stage.sealed(backupId, base);
    execFileSync('rm', ['-r', dirname(stage.imageFile(base))]);
    const failure = await failureOf(stage.attempt('verifyDisk', { ...stage.image(backupId), from: start }));
    expect(failure).toMatchObject({ type: 'chain.broken', message: expect.stringContaining(base) as string });
  });
});
