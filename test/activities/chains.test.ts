// What planning reads of a VM's chain, and whether it can be built on: with real images in a real repository.
import { randomUUID } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createMoverQuickActivities, type MoverQuickActivities } from '../../activities';
import type { Repository } from '../../adapters/repository/port';
import type { Manifest } from '../../domain/manifest';
import { MiB, rawDisk, useDirectory } from '../adapters/blocks/support';
import { copyInto, factsOf, newCase, newRepository, ovf, settingsOf, unsealed, type Case } from '../adapters/repository/support';
import { FakeEngine } from '../fakes/fake-engine';

const directory = useDirectory();
const sizeBytes = 2 * MiB;
let repository: Repository;
let path: string;
let raw: string;
let full: Case;
beforeEach(async () => {
  ({ repository, path } = await newRepository(directory.path));
  full = newCase();
  raw = join(directory.path, `${full.diskId}.raw`);
  rawDisk(raw, sizeBytes, [{ start: 0, bytes: Buffer.alloc(4096, 1) }]);
});

type Names = 'readVmChain' | 'checkBase' | 'checkChain';
type Asked<N extends Names> = Parameters<MoverQuickActivities[N]>[0];
type Answer<N extends Names> = Awaited<ReturnType<MoverQuickActivities[N]>>;

function run<N extends Names>(name: N, input: Asked<N>): Promise<Answer<N>> {
  const activities = createMoverQuickActivities({ repositoryOf: () => repository, engineOf: () => new FakeEngine(), now: () => new Date(), version: '0.1.0' });
  const environment = new MockActivityEnvironment();
  type Run = (asked: Asked<N>) => Promise<Answer<N>>;
  return environment.run<[Asked<N>], Answer<N>, Run>(activities[name] as Run, input);
}
const place = (what: Case) => ({ engine: 'lab', runId: what.runId, repository: 'primary', vmId: full.ref.vmId, backupId: what.ref.backupId });
const chain = (engine = 'lab') => run('readVmChain', { ...place(full), engine });
const at = (hour: number): string => `2026-11-21T${String(hour).padStart(2, '0')}:00:00.000Z`;
const directoryOf = ({ ref }: Case): string => join(path, 'vms', ref.vmId, ref.backupId);

/** Its image is written whole: what it lies on is the manifest's and the header's word. */
async function backUp(what: Case, hour: number, base: Case | null = null, changes: Partial<Manifest> = {}): Promise<string> {
  const checkpointId = randomUUID();
  await repository.saveConfiguration(what.ref, ovf, [settingsOf(what.diskId, sizeBytes)]);
  const image = await repository.openPartialImage(what.ref, what.diskId, sizeBytes, { owner: 'test', source: what.ref.backupId, ...(base === null ? {} : { baseBackupId: base.ref.backupId }) });
  try {
    await copyInto(image, raw);
  } finally {
    await image.close();
  }
  await repository.seal(
    what.ref,
    { ...unsealed(what), method: 'transfer', snapshot: null, vmBackup: { id: randomUUID(), style: 'hybrid', createdAt: at(hour) }, checkpoint: { id: checkpointId }, ...(base === null ? {} : { kind: 'incremental' as const, base: { backupId: base.ref.backupId } }), ...changes },
    [{ ...factsOf(what.diskId, sizeBytes), witnessed: base !== null }],
    at(hour),
  );
  return checkpointId;
}
const next = (): Case => ({ ...newCase(), diskId: full.diskId, ref: { vmId: full.ref.vmId, backupId: randomUUID() } });

test('a VM\'s chain, newest first: what it lies on, its checkpoints, whether the host bore witness', async () => {
  const [later, byAppliance, elsewhere, partial] = [next(), next(), next(), next()];
  const checkpoints = [await backUp(full, 1), await backUp(later, 2, full)];
  await backUp(byAppliance, 3, null, { method: 'appliance' });
  await backUp(elsewhere, 4, null, { engine: { name: 'other', product: 'x', version: '1' } });
  await repository.saveConfiguration(partial.ref, ovf, [settingsOf(partial.diskId, sizeBytes)]);
  expect(await chain()).toEqual([
    { backupId: later.ref.backupId, kind: 'incremental', baseBackupId: full.ref.backupId, createdAt: at(2), checkpointId: checkpoints[1], witnessed: true, disks: [{ diskId: full.diskId, virtualBytes: sizeBytes, baseBackupId: full.ref.backupId }] },
    { backupId: full.ref.backupId, kind: 'full', baseBackupId: null, createdAt: at(1), checkpointId: checkpoints[0], witnessed: false, disks: [{ diskId: full.diskId, virtualBytes: sizeBytes, baseBackupId: null }] },
  ]);
  expect((await chain('other')).map(({ backupId }) => backupId)).toEqual([elsewhere.ref.backupId]);
});

test('one whose manifest cannot be read is missing, and a VM without backups has none', async () => {
  const later = next();
  await backUp(full, 1);
  await backUp(later, 2, full);
  writeFileSync(join(directoryOf(full), 'manifest.json'), '{}');
  expect((await chain()).map(({ backupId }) => backupId)).toEqual([later.ref.backupId]);
  expect(await run('readVmChain', { ...place(full), vmId: randomUUID() })).toEqual([]);
});

describe('a base', () => {
  let later: Case;
  beforeEach(async () => {
    later = next();
    await backUp(full, 1);
    await backUp(later, 2, full);
  });

  test('that is whole can be built on and restored', async () => {
    expect(await run('checkBase', place(later))).toBeNull();
    expect(await run('checkChain', place(later))).toEqual([]);
  });

  test.each<[string, () => void, RegExp]>([
    ['whose full backup is gone', () => rmSync(directoryOf(full), { recursive: true }), /missing in the repository/],
    ['whose full backup was replaced by another', () => renameSync(join(directoryOf(later), 'manifest.json'), join(directoryOf(full), 'manifest.json')), /manifest|damaged/],
    ['with an image that is gone below', () => rmSync(join(directoryOf(full), `${full.diskId}.qcow2`)), /missing/],
    ['with digests that decayed', () => writeFileSync(join(directoryOf(later), `${full.diskId}.digests`), Buffer.alloc(64, 7)), /SHA-256/],
    ['that was never sealed', () => rmSync(join(directoryOf(later), 'manifest.json')), /never finished/],
  ])('%s is damaged, in words', async (_what, harm, words) => {
    harm();
    expect(await run('checkBase', place(later))).toMatch(words);
    expect(await run('checkChain', place(later))).toEqual([{ code: 'backup.chain', object: later.ref.backupId, text: expect.stringMatching(words) as string }]);
  });
});
