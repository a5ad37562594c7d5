// Chains on disk, with real QEMU: incremental images read back as the disk was, with nothing of ours too; and what is missing or altered
// in a chain is refused before anything is read through it.
import { execFileSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { cpSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { copyBlocks, digestBlocks, type BlockReader } from '../../../adapters/blocks';
import { decodeManifest, encodeManifest } from '../../../adapters/repository/manifest-file';
import type { PartialImage, Repository } from '../../../adapters/repository/port';
import { createRepository } from '../../../adapters/repository/repository';
import type { Manifest } from '../../../domain/manifest';
import { changesBetween, counted, independentDigests, MiB, never, qemuImg, rawDisk, readImage, useDirectory } from '../blocks/support';
import { backUp, factsOf, newCase, newRepository, ovf, settingsOf, unsealed, type Case } from './support';

const directory = useDirectory();
const sizeBytes = 20 * MiB + 4096;
let serial = 0;

interface State {
  readonly raw: string;
  readonly content: Buffer;
}

function state(content: Buffer): State {
  const raw = join(directory.path, `state-${serial++}.raw`);
  rawDisk(raw, sizeBytes, [{ start: 0, bytes: content }]);
  return { raw, content };
}

/** Whole and partial blocks, the short last one, and what became zeroes; the granule of a bitmap is 64 KiB, of ours 4 KiB here. */
function changed(before: State): State {
  const content = Buffer.from(before.content);
  randomBytes(8192).copy(content, MiB + 4096);
  randomBytes(3 * MiB).copy(content, 4 * MiB + 512 * 1024);
  content.fill(0, 9 * MiB, 12 * MiB);
  content.fill(0, 13 * MiB + 65536, 13 * MiB + 131072);
  randomBytes(4096).copy(content, sizeBytes - 4096);
  randomBytes(64).copy(content, 17 * MiB + serial * 65536);
  return state(content);
}

const base = (): State => state(Buffer.concat([randomBytes(16 * MiB), Buffer.alloc(4 * MiB + 4096)]));
const next = (of: Case): Case => ({ ...newCase(), diskId: of.diskId, ref: { vmId: of.ref.vmId, backupId: randomUUID() } });
const imageOf = (path: string, { ref, diskId }: Case): string => join(path, 'vms', ref.vmId, ref.backupId, `${diskId}.qcow2`);
const manifestOf = (path: string, { ref }: Case): string => join(path, 'vms', ref.vmId, ref.backupId, 'manifest.json');

async function openOn(repository: Repository, what: Case, on: Case, source = 'vm-backup-1'): Promise<PartialImage> {
  await repository.saveConfiguration(what.ref, ovf, [settingsOf(what.diskId, sizeBytes)]);
  return repository.openPartialImage(what.ref, what.diskId, sizeBytes, { owner: 'test', source, baseBackupId: on.ref.backupId });
}

async function copyChanges(image: PartialImage, reader: BlockReader, before: State, after: State, signal = never): Promise<number> {
  if (image.base === undefined) throw new Error('the image lies on nothing');
  const { dataBytes } = await copyBlocks({
    reader,
    writer: image.writer,
    sink: image.sink,
    since: { ...image.base, changes: (from) => changesBetween(before.content, after.content, from) },
    fromBytes: image.positionBytes,
    dataBytesBefore: image.dataBytes,
    onDurable: ({ positionBytes, dataBytes: bytes }) => image.recordDurable(positionBytes, bytes),
    signal,
  });
  return dataBytes;
}

async function backUpOn(repository: Repository, what: Case, on: Case, before: State, after: State, kind: Manifest['kind'] = 'incremental'): Promise<number> {
  const image = await openOn(repository, what, on);
  const reader = counted(await readImage(after.raw, 'raw'));
  try {
    await copyChanges(image, reader, before, after);
  } finally {
    await reader.close();
    await image.close();
  }
  await repository.seal(what.ref, { ...unsealed(what), kind, base: { backupId: on.ref.backupId } }, [factsOf(what.diskId, sizeBytes)], '2026-11-21T06:00:00Z');
  return reader.readBytes;
}

async function expectRestores(repository: Repository, path: string, what: Case, { raw }: State): Promise<void> {
  const independent = independentDigests(raw, 'raw');
  const { manifest } = await repository.readManifest(what.ref);
  expect(manifest.disks[0]?.digests.root).toBe(independent.root);
  expect(readFileSync(imageOf(path, what).replace('.qcow2', '.digests')).equals(independent.digests)).toBe(true);
  const reader = await repository.openImage(what.ref, what.diskId);
  expect((await digestBlocks(reader, { signal: never, expected: await repository.openDigests(what.ref, what.diskId) })).root).toBe(independent.root);
  await reader.close();
  qemuImg('check', '-q', imageOf(path, what));
  expect(qemuImg('compare', '-f', 'raw', '-F', 'qcow2', raw, imageOf(path, what))).toContain('identical');
}

interface Chain {
  readonly repository: Repository;
  readonly path: string;
  readonly states: readonly [State, State, State];
  readonly cases: readonly [Case, Case, Case];
}

/** A full backup and two incremental ones. */
async function chain(): Promise<Chain> {
  const { repository, path } = await newRepository(directory.path);
  const first = base();
  const second = changed(first);
  const third = changed(second);
  const full = newCase();
  const [one, two] = [next(full), next(full)];
  await backUp(repository, full, first.raw, sizeBytes);
  await backUpOn(repository, one, full, first, second);
  await backUpOn(repository, two, one, second, third);
  return { repository, path, states: [first, second, third], cases: [full, one, two] };
}

it('every point of a chain is restored, read only through what changed, with qemu-img alone and from another place too', async () => {
  const { repository, path, states, cases } = await chain();
  const differential = next(cases[0]);
  const fourth = changed(states[2]);
  await backUpOn(repository, differential, cases[0], states[0], fourth, 'differential');
  for (const [at, what] of cases.entries()) await expectRestores(repository, path, what, states[at] ?? fourth);
  await expectRestores(repository, path, differential, fourth);
  expect((await repository.checkChain(cases[2].ref)).map(({ backupId, kind }) => [backupId, kind])).toEqual([[cases[2].ref.backupId, 'incremental'], [cases[1].ref.backupId, 'incremental'], [cases[0].ref.backupId, 'full']]);
  expect((await repository.checkChain(differential.ref)).map(({ kind }) => kind)).toEqual(['differential', 'full']);
  expect(statSync(imageOf(path, cases[1])).size).toBeLessThan(5 * MiB);
  const { manifest } = await repository.readManifest(cases[2].ref);
  expect(manifest).toMatchObject({ kind: 'incremental', base: { backupId: cases[1].ref.backupId, manifestSha256: (await repository.readManifest(cases[1].ref)).manifestSha256 }, disks: [{ image: { base: { backupId: cases[1].ref.backupId } } }] });
  expect(JSON.parse(qemuImg('info', '--output=json', imageOf(path, cases[2])))).toMatchObject({ 'backing-filename': `../${cases[1].ref.backupId}/${cases[1].diskId}.qcow2`, 'backing-filename-format': 'qcow2' });
  renameSync(path, `${path}-moved`);
  expect(qemuImg('compare', '-f', 'raw', '-F', 'qcow2', states[2].raw, imageOf(`${path}-moved`, cases[2]))).toContain('identical');
});

it('reads from the source what changed, and nothing else', async () => {
  const { repository } = await newRepository(directory.path);
  const first = base();
  const content = Buffer.from(first.content);
  randomBytes(8192).copy(content, 6 * MiB + 4096);
  const second = state(content);
  const full = newCase();
  await backUp(repository, full, first.raw, sizeBytes);
  expect(await backUpOn(repository, next(full), full, first, second)).toBe(8192);
});

it('a copy that was cut goes on where it was, for the same source only', async () => {
  const { repository, path } = await newRepository(directory.path);
  const first = base();
  const second = state(Buffer.concat([randomBytes(20 * MiB), Buffer.alloc(4096)]));
  const full = newCase();
  await backUp(repository, full, first.raw, sizeBytes);
  const what = next(full);
  const image = await openOn(repository, what, full);
  const source = await readImage(second.raw, 'raw');
  const cut = new AbortController();
  const put: PartialImage['sink']['put'] = async (block, digests) => {
    await image.sink.put(block, digests);
    if (block >= 6) cut.abort(new Error('cut'));
  };
  await expect(copyChanges({ ...image, sink: { ...image.sink, put } }, source, first, second, cut.signal)).rejects.toThrow('cut');
  await source.close();
  // As a copy would have done in time: it is too short to have recorded a position.
  await image.writer.flush().catch(() => undefined);
  await image.recordDurable(4 * MiB, 4 * MiB);
  await image.close();
  const again = await openOn(repository, what, full);
  expect(again.positionBytes).toBe(4 * MiB);
  const reader = counted(await readImage(second.raw, 'raw'));
  await copyChanges(again, reader, first, second);
  await reader.close();
  await again.close();
  expect(reader.readBytes).toBe(16 * MiB);
  await repository.seal(what.ref, { ...unsealed(what), kind: 'incremental', base: { backupId: full.ref.backupId } }, [factsOf(what.diskId, sizeBytes)], 'now');
  await expectRestores(repository, path, what, second);
  const other = next(full);
  const begun = await openOn(repository, other, full, 'vm-backup-1');
  await begun.recordDurable(4 * MiB, 0);
  await begun.close();
  const fresh = await openOn(repository, other, full, 'vm-backup-2');
  expect(fresh.positionBytes).toBe(0);
  await fresh.close();
});

it('a disk may stand alone within an incremental backup', async () => {
  const { repository, path } = await newRepository(directory.path);
  const first = base();
  const second = changed(first);
  const full = newCase();
  await backUp(repository, full, first.raw, sizeBytes);
  const what = next(full);
  const added = { ...what, diskId: randomUUID() };
  await repository.saveConfiguration(what.ref, ovf, [settingsOf(what.diskId, sizeBytes), settingsOf(added.diskId, sizeBytes)]);
  for (const [disk, on] of [[what, full], [added, undefined]] as const) {
    const image = await repository.openPartialImage(disk.ref, disk.diskId, sizeBytes, { owner: 'test', source: 's', ...(on === undefined ? {} : { baseBackupId: on.ref.backupId }) });
    const reader = await readImage(second.raw, 'raw');
    if (on !== undefined) await copyChanges(image, reader, first, second);
    else await copyBlocks({ reader, writer: image.writer, sink: image.sink, fromBytes: 0, dataBytesBefore: 0, onDurable: (figures) => image.recordDurable(figures.positionBytes, figures.dataBytes), signal: never });
    await reader.close();
    await image.close();
  }
  const { manifest } = await repository.seal(what.ref, { ...unsealed(what), kind: 'incremental', base: { backupId: full.ref.backupId } }, [factsOf(what.diskId, sizeBytes), factsOf(added.diskId, sizeBytes)], 'now');
  expect(manifest.disks.map((disk) => disk.image.base?.backupId ?? null)).toEqual([full.ref.backupId, null]);
  rmSync(join(path, 'vms', full.ref.vmId, full.ref.backupId, `${full.diskId}.qcow2`));
  await (await repository.openImage(added.ref, added.diskId)).close();
  await expect(repository.openImage(what.ref, what.diskId)).rejects.toMatchObject({ code: 'repository.corrupt' });
});

describe('a chain is refused before anything is read through it', () => {
  const rewrite = (file: string, change: (manifest: Manifest) => Manifest): void => {
    const found = decodeManifest(readFileSync(file));
    if ('reason' in found) throw new Error(found.reason);
    writeFileSync(file, encodeManifest(change(found.manifest)));
  };
  let sound: Chain;
  beforeAll(async () => {
    sound = await chain();
  });
  const copyOfSound = async (): Promise<Chain> => {
    const path = join(directory.path, `damaged-${serial++}`);
    cpSync(sound.path, path, { recursive: true });
    const repository = createRepository({ name: 'primary', path });
    await repository.open();
    return { ...sound, repository, path };
  };
  it.each<readonly [string, (chained: Chain) => void, string]>([
    ['a base that is missing', ({ path, cases }) => rmSync(join(path, 'vms', cases[0].ref.vmId, cases[0].ref.backupId), { recursive: true }), 'chain.broken'],
    ['a base without its manifest', ({ path, cases }) => rmSync(manifestOf(path, cases[0])), 'chain.broken'],
    ['a base that is sealed anew', ({ path, cases }) => rewrite(manifestOf(path, cases[0]), (manifest) => ({ ...manifest, sealedAt: 'later' })), 'chain.broken'],
    ['a base with a damaged manifest', ({ path, cases }) => writeFileSync(manifestOf(path, cases[1]), '{'), 'repository.corrupt'],
    ['a base without its image', ({ path, cases }) => rmSync(imageOf(path, cases[0])), 'repository.corrupt'],
    ['a base whose image is longer', ({ path, cases }) => writeFileSync(imageOf(path, cases[0]), 'more', { flag: 'a' }), 'repository.corrupt'],
    ['an image that names another file below it', ({ path, cases }) => void qemuImg('rebase', '-u', '-f', 'qcow2', '-F', 'raw', '-b', '/etc/passwd', imageOf(path, cases[1])), 'repository.corrupt'],
    ['an image that lost the one below it', ({ path, cases }) => void qemuImg('rebase', '-u', '-f', 'qcow2', '-b', '', imageOf(path, cases[2])), 'repository.corrupt'],
  ])('%s', async (_what, damage, code) => {
    const chained = await copyOfSound();
    damage(chained);
    const { repository, cases } = chained;
    const [, , top] = cases;
    await expect(repository.checkChain(top.ref)).rejects.toMatchObject({ code });
    await expect(repository.openImage(top.ref, top.diskId)).rejects.toMatchObject({ code });
    const another = next(top);
    await expect(openOn(repository, another, top)).rejects.toMatchObject({ code });
    expect(existsSync(imageOf(chained.path, another))).toBe(false);
  });
});

it('a block of the base that decayed is found when a part of it is needed, and when it is restored', async () => {
  const { repository, path, states, cases } = await chain();
  const [, one, two] = cases;
  execFileSync('qemu-io', ['-c', `write -q -P 1 ${2 * MiB + 4096} 4096`, imageOf(path, cases[0])]);
  const reader = await repository.openImage(one.ref, one.diskId);
  await expect(digestBlocks(reader, { signal: never, expected: await repository.openDigests(one.ref, one.diskId) })).rejects.toMatchObject({ code: 'digest.mismatch', details: { block: 2 } });
  await reader.close();
  const content = Buffer.from(states[2].content);
  randomBytes(4096).copy(content, 2 * MiB + 65536);
  const after = state(content);
  const image = await openOn(repository, next(two), two);
  const source = await readImage(after.raw, 'raw');
  await expect(copyChanges(image, source, states[2], after)).rejects.toMatchObject({ code: 'digest.mismatch', details: { block: 2, inBase: true } });
  await source.close();
  await image.close();
});

it('is not sealed as what it is not', async () => {
  const { repository } = await newRepository(directory.path);
  const first = base();
  const full = newCase();
  await backUp(repository, full, first.raw, sizeBytes);
  const what = next(full);
  const image = await openOn(repository, what, full);
  const reader = await readImage(first.raw, 'raw');
  await copyChanges(image, reader, first, first);
  await reader.close();
  await image.close();
  const facts = [factsOf(what.diskId, sizeBytes)];
  await expect(repository.seal(what.ref, unsealed(what), facts, 'now')).rejects.toMatchObject({ code: 'input.invalid' });
  await expect(repository.seal(what.ref, { ...unsealed(what), base: { backupId: full.ref.backupId } }, facts, 'now')).rejects.toMatchObject({ code: 'input.invalid' });
  await expect(openOn(repository, next(full), { ...full, ref: { ...full.ref, backupId: randomUUID() } })).rejects.toMatchObject({ code: 'backup.not-found' });
});
