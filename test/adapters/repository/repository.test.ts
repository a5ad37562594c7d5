// The repository as a place: who may call itself one, sealing, listing, and that every flipped byte is found and named.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { digestBlocks } from '../../../adapters/blocks';
import { createRepository } from '../../../adapters/repository/repository';
import { independentDigests, MiB, never, qemuImg, rawDisk, useDirectory } from '../blocks/support';
import { mountTmpfs } from './mounts';
import { backUp, copyInto, factsOf, newCase, newRepository, ovf, settingsOf, unsealed, type Case } from './support';

const directory = useDirectory();
const sizeBytes = 9 * MiB + 4096;
let raw = '';
beforeAll(() => {
  raw = join(directory.path, 'source.raw');
  rawDisk(raw, sizeBytes, [
    { start: 0, bytes: randomBytes(300_000) },
    { start: 5 * MiB, bytes: randomBytes(2 * MiB) },
  ]);
});

const placeOf = (path: string, { ref }: Case): string => join(path, 'vms', ref.vmId, ref.backupId);

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

describe('opening', () => {
  it('makes a repository of an empty directory, once', async () => {
    const { path, repository } = await newRepository(directory.path);
    const marker = readFileSync(join(path, 'holdfast-repository.json'), 'utf8');
    await repository.open();
    await Promise.all([createRepository({ name: 'a', path }).open(), createRepository({ name: 'b', path }).open()]);
    expect(readFileSync(join(path, 'holdfast-repository.json'), 'utf8')).toBe(marker);
    expect(JSON.parse(marker)).toMatchObject({ format: 'holdfast-repository', version: 1 });
  });

  it('refuses a directory that is something else, and leaves it alone', async () => {
    const path = join(directory.path, 'foreign');
    mkdirSync(path);
    writeFileSync(join(path, 'letters.txt'), 'dear');
    await expect(createRepository({ name: 'a', path }).open()).rejects.toMatchObject({ code: 'repository.corrupt', message: expect.stringContaining('letters.txt') as string });
    expect(readdirSync(path)).toEqual(['letters.txt']);
  });

  it('refuses a newer format', async () => {
    const { path, repository } = await newRepository(directory.path);
    writeFileSync(join(path, 'holdfast-repository.json'), JSON.stringify({ format: 'holdfast-repository', version: 2, id: randomUUID() }));
    await expect(repository.open()).rejects.toMatchObject({ code: 'repository.corrupt', message: expect.stringContaining('newer Holdfast') as string });
  });
});

describe('a VM that is replaced', () => {
  const vm = { vmId: randomUUID(), name: 'demo', comment: '', clusterId: randomUUID(), ovf: '<ovf>ä</ovf>', attachments: [{ diskId: randomUUID(), interface: 'virtio' as const, bootable: true, active: true, readOnly: false, passDiscard: false }] };

  it('is saved once, read back, and dropped; it is no backup', async () => {
    const { path, repository } = await newRepository(directory.path);
    const runId = randomUUID();
    await repository.dropReplacedVm(runId);
    await expect(repository.readReplacedVm(runId)).resolves.toBeUndefined();
    await repository.saveReplacedVm(runId, vm);
    // A repeat may come when half of the VM is gone already.
    await repository.saveReplacedVm(runId, { ...vm, attachments: [] });
    await expect(repository.readReplacedVm(runId)).resolves.toEqual(vm);
    expect(statSync(join(path, 'replaced', `${runId}.json`)).mode & 0o777).toBe(0o600);
    expect(await collect(repository.list())).toEqual([]);
    await repository.open();
    for (let turn = 0; turn < 2; turn += 1) await repository.dropReplacedVm(runId);
    await expect(repository.readReplacedVm(runId)).resolves.toBeUndefined();
  });

  it('that decayed is named, and an id that is none becomes no path', async () => {
    const { path, repository } = await newRepository(directory.path);
    const runId = randomUUID();
    await repository.saveReplacedVm(runId, vm);
    writeFileSync(join(path, 'replaced', `${runId}.json`), '{');
    await expect(repository.readReplacedVm(runId)).rejects.toMatchObject({ code: 'repository.corrupt', message: expect.stringContaining(runId) as string });
    await expect(repository.saveReplacedVm('../x', vm)).rejects.toMatchObject({ code: 'input.invalid' });
  });
});

describe('check', () => {
  it('proves that it can be written to, tells the space, and leaves nothing', async () => {
    const { path, repository } = await newRepository(directory.path);
    const { availableBytes } = await repository.check();
    expect(availableBytes).toBeGreaterThan(0);
    expect(readdirSync(path)).toEqual(['holdfast-repository.json']);
  });

  it('takes away what is left of a probe that was killed: at once when the same one asks again, and of anybody after an hour', async () => {
    const { path, repository } = await newRepository(directory.path);
    const [mine, fresh, forgotten] = ['probe-mine.tmp', 'probe-fresh.tmp', 'probe-forgotten.tmp'].map((name) => join(path, name)) as [string, string, string];
    for (const probe of [mine, fresh, forgotten]) {
      mkdirSync(probe);
      writeFileSync(join(probe, 'one'), '');
    }
    const hoursAgo = new Date(Date.now() - 2 * 3_600_000);
    utimesSync(forgotten, hoursAgo, hoursAgo);
    await repository.check('mine');
    expect(readdirSync(path).sort()).toEqual(['holdfast-repository.json', 'probe-fresh.tmp']);
  });

  it('names path and remedy when it is not writable', async () => {
    const mount = await mountTmpfs(directory.path, 'ro');
    if (mount === undefined) return;
    await expect(createRepository({ name: 'primary', path: mount.path }).check()).rejects.toMatchObject({ code: 'repository.not-writable', message: expect.stringMatching(new RegExp(`${mount.path}.*Mount it for writing`)) as string });
    mount.end();
  });
});

describe('a sealed backup', () => {
  it('has the files of the format, private, and restores with qemu-img alone', async () => {
    const { path, repository } = await newRepository(directory.path);
    const what = newCase();
    const { manifest, manifestSha256 } = await backUp(repository, what, raw, sizeBytes);
    const place = placeOf(path, what);
    expect(readdirSync(place).sort()).toEqual([`${what.diskId}.digests`, `${what.diskId}.qcow2`, 'manifest.json', 'vm.ovf'].sort());
    for (const name of readdirSync(place)) expect(statSync(join(place, name)).mode & 0o777).toBe(0o600);
    expect(statSync(place).mode & 0o777).toBe(0o700);
    const image = join(place, `${what.diskId}.qcow2`);
    qemuImg('check', '-q', image);
    expect(qemuImg('compare', '-f', 'raw', '-F', 'qcow2', raw, image)).toContain('identical');
    const independent = independentDigests(raw, 'raw');
    expect(manifest.disks[0]?.digests.root).toBe(independent.root);
    expect(readFileSync(join(place, `${what.diskId}.digests`)).equals(independent.digests)).toBe(true);
    expect(createHash('sha256').update(readFileSync(join(place, 'manifest.json'))).digest('hex')).toBe(manifestSha256);
    expect(JSON.parse(qemuImg('info', '--output=json', image))).toMatchObject({ 'cluster-size': 65536, 'format-specific': { data: { 'lazy-refcounts': false } } });
  });

  it('is read back through the port, digests and all', async () => {
    const { repository } = await newRepository(directory.path);
    const what = newCase();
    const { manifest } = await backUp(repository, what, raw, sizeBytes);
    expect(await repository.readConfiguration(what.ref)).toBe(ovf);
    const reader = await repository.openImage(what.ref, what.diskId);
    const { root } = await digestBlocks(reader, { signal: never, expected: await repository.openDigests(what.ref, what.diskId) });
    await reader.close();
    expect(root).toBe(manifest.disks[0]?.digests.root);
    expect(await repository.findBackup(what.ref.backupId)).toEqual(what.ref);
    expect(await repository.findBackup(randomUUID())).toBeUndefined();
  });

  it('sealed again by the same run gives the first manifest; by another it is refused', async () => {
    const { repository } = await newRepository(directory.path);
    const what = newCase();
    const first = await backUp(repository, what, raw, sizeBytes);
    const facts = [factsOf(what.diskId, sizeBytes)];
    expect(await repository.seal(what.ref, unsealed(what), facts, '2027-01-01T00:00:00Z')).toEqual(first);
    await expect(repository.seal(what.ref, unsealed({ ...what, runId: randomUUID() }), facts, '2027-01-01T00:00:00Z')).rejects.toMatchObject({ code: 'repository.corrupt' });
    await expect(repository.openPartialImage(what.ref, what.diskId, sizeBytes, { owner: 'late' })).rejects.toMatchObject({ code: 'repository.corrupt' });
    await expect(repository.saveConfiguration(what.ref, ovf, [])).rejects.toMatchObject({ code: 'repository.corrupt' });
    await expect(repository.dropPartial(what.ref)).rejects.toMatchObject({ code: 'repository.corrupt' });
    expect((await repository.readManifest(what.ref)).manifestSha256).toBe(first.manifestSha256);
  });

  it('is listed; partial ones are not, and a damaged one comes with its reason', async () => {
    const { path, repository } = await newRepository(directory.path);
    const [good, bad, partial] = [newCase(), newCase(), newCase()];
    await backUp(repository, good, raw, sizeBytes);
    await backUp(repository, bad, raw, sizeBytes);
    await repository.saveConfiguration(partial.ref, ovf, []);
    writeFileSync(join(placeOf(path, bad), 'manifest.json'), '{');
    const found = await collect(repository.list());
    expect(found.map((entry) => ('reason' in entry ? entry.reason : entry.manifest.backupId)).sort()).toEqual([good.ref.backupId, 'it is not JSON'].sort());
    // In the order of their paths, and from any of them on: a rebuild goes page by page.
    const paths = found.map((entry) => entry.path);
    expect(paths).toEqual([...paths].sort());
    expect((await collect(repository.list(paths[0]))).map((entry) => entry.path)).toEqual(paths.slice(1));
    expect(await collect(repository.list(paths.at(-1)))).toEqual([]);
    await expect(repository.readManifest(partial.ref)).rejects.toMatchObject({ code: 'backup.not-sealed' });
    await expect(repository.readManifest(newCase().ref)).rejects.toMatchObject({ code: 'backup.not-found' });
  });
});

describe('a flipped byte', () => {
  function flip(file: string, at: number): void {
    const bytes = readFileSync(file);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(file, bytes);
  }

  it('anywhere in the manifest is found, and the file is named', async () => {
    const { path, repository } = await newRepository(directory.path);
    const what = newCase();
    await backUp(repository, what, raw, sizeBytes);
    const file = join(placeOf(path, what), 'manifest.json');
    const size = statSync(file).size;
    for (let at = 0; at < size; at += 1 + Math.floor(size / 97)) {
      flip(file, at);
      await expect(repository.readManifest(what.ref)).rejects.toMatchObject({ code: 'repository.corrupt', message: expect.stringContaining(file) as string });
      flip(file, at);
    }
    await repository.readManifest(what.ref);
  });

  it('in the configuration, the digests or the image is found when it is read', async () => {
    const { path, repository } = await newRepository(directory.path);
    const what = newCase();
    await backUp(repository, what, raw, sizeBytes);
    const place = placeOf(path, what);
    const damaged = (file: string) => ({ code: 'repository.corrupt', message: expect.stringContaining(join(place, file)) as string });
    flip(join(place, 'vm.ovf'), 40);
    await expect(repository.readConfiguration(what.ref)).rejects.toMatchObject(damaged('vm.ovf'));
    flip(join(place, `${what.diskId}.digests`), 77);
    await expect(repository.openDigests(what.ref, what.diskId)).rejects.toMatchObject(damaged(`${what.diskId}.digests`));
    flip(join(place, `${what.diskId}.digests`), 77);
    // A data cluster of the image: only reading it finds that out, and the digests tell which block.
    execFileSync('qemu-io', ['-c', `write -q -P 1 ${5 * MiB + 8192} 4096`, join(place, `${what.diskId}.qcow2`)]);
    const reader = await repository.openImage(what.ref, what.diskId);
    await expect(digestBlocks(reader, { signal: never, expected: await repository.openDigests(what.ref, what.diskId) })).rejects.toMatchObject({ code: 'digest.mismatch', details: { block: 5 } });
    await reader.close();
    rmSync(join(place, `${what.diskId}.qcow2`));
    await expect(repository.openImage(what.ref, what.diskId)).rejects.toMatchObject(damaged(`${what.diskId}.qcow2`));
  });
});

describe('sealing refuses', () => {
  it('a disk that is not copied to its end, and one that has a living writer', async () => {
    const { path, repository } = await newRepository(directory.path);
    const what = newCase();
    const seal = () => repository.seal(what.ref, unsealed(what), [factsOf(what.diskId, sizeBytes)], 'now');
    await repository.saveConfiguration(what.ref, ovf, [settingsOf(what.diskId, sizeBytes)]);
    const image = await repository.openPartialImage(what.ref, what.diskId, sizeBytes, { owner: 'copy' });
    await expect(seal()).rejects.toMatchObject({ code: 'repository.held' });
    await image.close();
    await expect(seal()).rejects.toMatchObject({ code: 'backup.not-sealed', message: expect.stringContaining(what.diskId) as string });
    expect(existsSync(join(placeOf(path, what), 'manifest.json'))).toBe(false);
  });

  it('a configuration that is not what was saved', async () => {
    const { path, repository } = await newRepository(directory.path);
    const what = newCase();
    await repository.saveConfiguration(what.ref, ovf, [settingsOf(what.diskId, sizeBytes)]);
    const image = await repository.openPartialImage(what.ref, what.diskId, sizeBytes, { owner: 'copy' });
    await copyInto(image, raw);
    await image.close();
    writeFileSync(join(placeOf(path, what), 'vm.ovf'), ovf.replace('1.0', '1.1'));
    await expect(repository.seal(what.ref, unsealed(what), [factsOf(what.diskId, sizeBytes)], 'now')).rejects.toMatchObject({ code: 'repository.corrupt', message: expect.stringContaining('vm.ovf') as string });
  });
});

it('ids are validated before they become a path', async () => {
  const { repository } = await newRepository(directory.path);
  const what = newCase();
  await expect(repository.saveConfiguration({ ...what.ref, vmId: '../../etc' }, ovf, [])).rejects.toMatchObject({ code: 'input.invalid' });
  await expect(repository.openPartialImage(what.ref, '../x', MiB, { owner: 'x' })).rejects.toMatchObject({ code: 'input.invalid' });
});

it('a partial backup is dropped with everything of it; an absent one is fine', async () => {
  const { path, repository } = await newRepository(directory.path);
  const what = newCase();
  await repository.saveConfiguration(what.ref, ovf, [settingsOf(what.diskId, sizeBytes)]);
  const image = await repository.openPartialImage(what.ref, what.diskId, sizeBytes, { owner: 'copy' });
  await repository.dropPartial(what.ref);
  await expect(image.renewLease()).rejects.toMatchObject({ code: 'repository.fenced' });
  await expect(image.writer.write(0, Buffer.alloc(4096))).rejects.toMatchObject({ code: 'blocks.server' });
  await image.close();
  expect(readdirSync(join(path, 'vms'))).toEqual([]);
  await repository.dropPartial(what.ref);
});
