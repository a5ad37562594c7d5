// Images that are being written: resumed after any cut, one writer at a time, taken over from the dead and the stopped, which then
// cannot spoil them.
import fc from 'fast-check';
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PartialImage, Repository } from '../../../adapters/repository/port';
import { independentDigests, MiB, qemuImg, randomPieces, rawDisk, until, useDirectory } from '../blocks/support';
import { mountTmpfs } from './mounts';
import { backUp, copyInto, factsOf, newCase, newRepository, ovf, settingsOf, unsealed, type Case } from './support';

const directory = useDirectory();
let serial = 0;

function newDisk(sizeBytes: number, pieces: Parameters<typeof rawDisk>[2]): string {
  const raw = join(directory.path, `d${serial++}.raw`);
  rawDisk(raw, sizeBytes, pieces);
  return raw;
}

const placeOf = (path: string, { ref }: Case): string => join(path, 'vms', ref.vmId, ref.backupId);
const open = (repository: Repository, what: Case, sizeBytes: number, owner = 'test'): Promise<PartialImage> => repository.openPartialImage(what.ref, what.diskId, sizeBytes, { owner });

async function expectWhole(repository: Repository, path: string, what: Case, raw: string, sizeBytes: number): Promise<void> {
  await repository.saveConfiguration(what.ref, ovf, [settingsOf(what.diskId, sizeBytes)]);
  const { manifest } = await repository.seal(what.ref, unsealed(what), [factsOf(what.diskId, sizeBytes)], 'now');
  const place = placeOf(path, what);
  expect(qemuImg('compare', '-f', 'raw', '-F', 'qcow2', raw, join(place, `${what.diskId}.qcow2`))).toContain('identical');
  const independent = independentDigests(raw, 'raw');
  expect(readFileSync(join(place, `${what.diskId}.digests`)).equals(independent.digests)).toBe(true);
  expect(manifest.disks[0]?.digests.root).toBe(independent.root);
}

describe('resume', () => {
  it('after cuts anywhere, by cancel or by the death of the image server: same image, same digests', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.integer({ min: 1, max: 11 }), fc.boolean()), { minLength: 1, maxLength: 3 }), fc.integer(), async (cuts, seed) => {
        const sizeBytes = 12 * MiB + 4096 * (seed & 0xff);
        const random = fc.sample(fc.double({ min: 0, max: 0.999, noNaN: true }), { numRuns: 100, seed });
        const raw = newDisk(sizeBytes, randomPieces(sizeBytes, 10, 3 * MiB, () => random.pop() ?? 0.5));
        const { repository, path } = await newRepository(directory.path);
        const what = newCase();
        let durable = 0;
        for (const [afterMiB, kill] of cuts) {
          const image = await open(repository, what, sizeBytes);
          expect(image.positionBytes).toBe(durable);
          try {
            durable = await cutCopy(image, raw, afterMiB * MiB, kill ? serverPid(placeOf(path, what)) : undefined);
          } finally {
            await image.close();
          }
        }
        const image = await open(repository, what, sizeBytes);
        expect(image.positionBytes).toBe(durable);
        expect(await copyInto(image, raw)).toBe(independentDigests(raw, 'raw').root);
        await image.close();
        await expectWhole(repository, path, what, raw, sizeBytes);
      }),
      { numRuns: 6 },
    );
  });

  /** Copies until `afterBytes` of digests are put, records a position on the way as the engine would, then cuts. Returns that position. */
  async function cutCopy(image: PartialImage, raw: string, afterBytes: number, serverToKill: number | undefined): Promise<number> {
    const cut = new AbortController();
    let killed = false;
    let durable = image.positionBytes;
    const sink = {
      ...image.sink,
      put: async (firstBlock: number, digests: Uint8Array) => {
        await image.sink.put(firstBlock, digests);
        const endBytes = Math.min(image.writer.sizeBytes, firstBlock * MiB + (digests.length / 32) * MiB);
        if (endBytes * 2 >= afterBytes && durable === image.positionBytes && endBytes < image.writer.sizeBytes) {
          await image.writer.flush();
          await image.sink.flush();
          await image.recordDurable(endBytes, 1);
          durable = endBytes;
        }
        if (endBytes >= afterBytes) {
          if (serverToKill === undefined) cut.abort(new Error('cut'));
          else if (!killed) killed = process.kill(serverToKill, 'SIGKILL');
        }
      },
    };
    const expected = serverToKill === undefined ? { message: 'cut' } : { code: 'blocks.server' };
    await expect(copyInto({ ...image, sink, recordDurable: () => Promise.resolve() }, raw, cut.signal)).rejects.toMatchObject(expected);
    return durable;
  }

  it('reads as zeroes above the durable position, whatever the former writer left there', async () => {
    const { repository, path } = await newRepository(directory.path);
    const what = newCase();
    const first = await open(repository, what, 8 * MiB);
    await first.writer.write(0, Buffer.alloc(2 * MiB, 1));
    await first.sink.put(0, Buffer.alloc(64, 1));
    await first.writer.flush();
    await first.sink.flush();
    await first.recordDurable(2 * MiB, 2 * MiB);
    await first.writer.write(3 * MiB, Buffer.alloc(MiB, 2));
    await first.close();
    const second = await open(repository, what, 8 * MiB);
    expect([second.positionBytes, second.dataBytes, second.writer.blank]).toEqual([2 * MiB, 2 * MiB, true]);
    await second.close();
    const expected = newDisk(8 * MiB, [{ start: 0, bytes: Buffer.alloc(2 * MiB, 1) }]);
    expect(qemuImg('compare', '-f', 'raw', '-F', 'qcow2', expected, join(placeOf(path, what), `${what.diskId}.qcow2`))).toContain('identical');
  });

  it.each([
    ['another size', () => undefined, 16 * MiB],
    ['a damaged image', (place: string, what: Case) => writeFileSync(join(place, `${what.diskId}.qcow2`), randomBytes(MiB)), 8 * MiB],
    ['digests that are missing', (place: string, what: Case) => writeFileSync(join(place, `${what.diskId}.digests`), ''), 8 * MiB],
    ['a position that cannot be read', (place: string) => readdirSync(place).filter((name) => name.endsWith('.progress')).forEach((name) => writeFileSync(join(place, name), '{')), 8 * MiB],
  ])('begins anew with %s', async (_what, damage, sizeBytes) => {
    const { repository, path } = await newRepository(directory.path);
    const what = newCase();
    const first = await open(repository, what, 8 * MiB);
    await first.sink.put(0, Buffer.alloc(64, 1));
    await first.recordDurable(2 * MiB, 1);
    await first.close();
    damage(placeOf(path, what), what);
    const raw = newDisk(sizeBytes, [{ start: MiB, bytes: randomBytes(MiB) }]);
    const second = await open(repository, what, sizeBytes);
    expect(second.positionBytes).toBe(0);
    await copyInto(second, raw);
    await second.close();
    await expectWhole(repository, path, what, raw, sizeBytes);
  });
});

function lockFiles(place: string): string[] {
  return readdirSync(place).filter((name) => name.endsWith('.lock'));
}

function serverPid(place: string): number {
  const [lock = ''] = lockFiles(place);
  return (JSON.parse(readFileSync(join(place, lock), 'utf8')) as { imageServer: { pid: number } }).imageServer.pid;
}

describe('one writer', () => {
  it('has the lock while it lives; afterwards the next one gets in', async () => {
    const { repository, path } = await newRepository(directory.path);
    const what = newCase();
    const first = await open(repository, what, MiB, 'the first');
    await expect(open(repository, what, MiB, 'the second')).rejects.toMatchObject({ code: 'repository.held', message: expect.stringContaining('"the first"') as string });
    await first.renewLease();
    await first.close();
    await first.close();
    expect(lockFiles(placeOf(path, what))).toEqual([]);
    await (await open(repository, what, MiB)).close();
  });

  it('of many who come at once exactly one gets in', async () => {
    const { repository } = await newRepository(directory.path);
    const what = newCase();
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, (_, index) => open(repository, what, MiB, `no ${index}`)));
    const images = outcomes.filter((outcome) => outcome.status === 'fulfilled').map((outcome) => outcome.value);
    expect(images).toHaveLength(1);
    // Whoever had the lock for a moment, before a quicker one took the next number, is fenced: both are tried again.
    for (const outcome of outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: expect.stringMatching(/^repository\.(held|fenced)$/) as string });
    for (const image of images) await image.close();
  });

  it('a lapsed lease of a living process is taken over, its server killed, and it is fenced', async () => {
    const { repository, path } = await newRepository(directory.path, { leaseMs: 400 });
    const what = newCase();
    const first = await open(repository, what, MiB, 'the first');
    const pid = serverPid(placeOf(path, what));
    await sleep(500);
    const second = await open(repository, what, MiB, 'the second');
    expect(serverPid(placeOf(path, what))).not.toBe(pid);
    await expect(first.renewLease()).rejects.toMatchObject({ code: 'repository.fenced' });
    await expect(first.recordDurable(MiB, 1)).rejects.toMatchObject({ code: 'repository.fenced' });
    await expect(first.writer.write(0, Buffer.alloc(512))).rejects.toMatchObject({ code: 'blocks.server' });
    await first.close();
    await second.renewLease();
    await second.close();
  });

  it('on another host keeps it until its lease is over, clocks apart; then QEMU\'s own lock decides', async () => {
    const { repository, path } = await newRepository(directory.path, { leaseMs: 400 });
    const what = newCase();
    const first = await open(repository, what, MiB, 'far away');
    const place = placeOf(path, what);
    const lock = join(place, lockFiles(place)[0] ?? '');
    const content = JSON.parse(readFileSync(lock, 'utf8')) as { host: object };
    writeFileSync(lock, JSON.stringify({ ...content, host: { ...content.host, bootId: 'another' } }));
    await sleep(500);
    await expect(open(repository, what, MiB)).rejects.toMatchObject({ code: 'repository.held' });
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(lock, longAgo, longAgo);
    // The server over there still has the image open: its lock is QEMU's, and nobody here can end it.
    await expect(open(repository, what, MiB)).rejects.toMatchObject({ code: 'repository.held' });
    await expect(first.renewLease()).rejects.toMatchObject({ code: 'repository.fenced' });
    await first.close();
    await (await open(repository, what, MiB)).close();
  });
});

describe('another process', () => {
  function child(path: string, what: Case, sizeBytes: number, raw: string): { process: ChildProcess; said: string[] } {
    const args = ['-r', join(__dirname, '../support-swc.cjs'), join(__dirname, 'writer-child.ts'), path, what.ref.vmId, what.ref.backupId, what.diskId, String(sizeBytes), raw];
    const process_ = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const said: string[] = [];
    process_.stdout.on('data', (data: Buffer) => said.push(...data.toString().trim().split('\n')));
    return { process: process_, said };
  }

  const sizeBytes = 40 * MiB;

  it('that was killed loses the image at once, and the copy goes on at its durable position', async () => {
    const raw = newDisk(sizeBytes, [{ start: 0, bytes: randomBytes(sizeBytes) }]);
    // With the usual lease of 15 s: the process is gone, so nobody waits for it.
    const { repository, path } = await newRepository(directory.path, { leaseMs: 600_000 });
    const what = newCase();
    const writer = child(path, what, sizeBytes, raw);
    await until(() => writer.said.some((line) => line.startsWith('durable')));
    writer.process.kill('SIGKILL');
    await until(() => writer.process.signalCode !== null);
    const image = await open(repository, what, sizeBytes);
    expect(image.positionBytes).toBeGreaterThan(0);
    await copyInto(image, raw);
    await image.close();
    await expectWhole(repository, path, what, raw, sizeBytes);
  });

  it('that was stopped and wakes up after a takeover cannot spoil the image, whatever it tries', async () => {
    const raw = newDisk(sizeBytes, [{ start: 0, bytes: randomBytes(sizeBytes) }]);
    const { repository, path } = await newRepository(directory.path, { leaseMs: 1_000 });
    const what = newCase();
    const writer = child(path, what, sizeBytes, raw);
    await until(() => writer.said.some((line) => line.startsWith('durable')));
    writer.process.kill('SIGSTOP');
    let image: PartialImage | undefined;
    await until(async () => {
      image = await open(repository, what, sizeBytes, 'the next').catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'repository.held' });
        return undefined;
      });
      return image !== undefined;
    });
    if (image === undefined) throw new Error('not opened');
    const taken = image.positionBytes;
    expect(taken).toBeGreaterThan(0);
    writer.process.kill('SIGCONT');
    await until(() => writer.said.includes('end'));
    expect(writer.said).toEqual(expect.arrayContaining(['recordDurable repository.fenced', 'renewLease repository.fenced', 'write blocks.server']));
    await copyInto(image, raw);
    await image.close();
    await expectWhole(repository, path, what, raw, sizeBytes);
  });
});

it('a full repository is named as such, by image, digests and probe, and goes on when there is space again', async () => {
  const mount = await mountTmpfs(directory.path, 'size=24m,mode=0777');
  if (mount === undefined) return;
  const { repository, path } = await newRepository(mount.path);
  const filler = join(mount.path, 'filler');
  const sizeBytes = 16 * MiB;
  const raw = newDisk(sizeBytes, [{ start: 0, bytes: randomBytes(sizeBytes) }]);
  const what = newCase();
  writeFileSync(filler, Buffer.alloc(12 * MiB));
  const image = await open(repository, what, sizeBytes);
  await expect(copyInto(image, raw)).rejects.toMatchObject({ code: 'repository.full', message: expect.stringMatching(/Free (some )?space/) as string });
  await image.close();
  expect(() => {
    writeFileSync(join(mount.path, 'rest'), Buffer.alloc(24 * MiB));
  }).toThrow('ENOSPC');
  await expect(repository.check()).rejects.toMatchObject({ code: 'repository.full' });
  await expect(backUp(repository, newCase(), raw, sizeBytes)).rejects.toMatchObject({ code: 'repository.full' });
  writeFileSync(filler, '');
  writeFileSync(join(mount.path, 'rest'), '');
  expect((await repository.check()).availableBytes).toBeGreaterThan(0);
  const again = await open(repository, what, sizeBytes);
  await copyInto(again, raw);
  await again.close();
  await expectWhole(repository, path, what, raw, sizeBytes);
  expect(statSync(path).isDirectory()).toBe(true);
  mount.end();
});
