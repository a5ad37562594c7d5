// Small pure words: ids and the names built from them, marks, holdings, figures for people, a manifest's summary.
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { holdingId, holdingKinds, holdingSchema } from '../../domain/holdings';
import { backupIdInMark, configNameSchema, readTransferMark, snapshotMark, taskQueues, transferIdleSeconds, transferMark, uuidSchema, vmMark, workflowIds, zeroUuid } from '../../domain/ids';
import { backupSummarySchema, manifestSchema, summarize, type Manifest, type ManifestDisk } from '../../domain/manifest';
import { humanBytes } from '../../domain/units';

const configName = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/);
const uuid = fc.uuid();

describe('marks that are read back', () => {
  test('of a transfer give its disk and key, and nothing else does', () => {
    fc.assert(fc.property(uuid, uuid, (diskId, transferKey) => expect(readTransferMark(transferMark(diskId, transferKey))).toEqual({ diskId, transferKey })));
    for (const mark of ['', 'transfer of disk x', `disk ${randomUUID()} at VM ${randomUUID()}`]) expect(readTransferMark(mark)).toBeUndefined();
  });

  test('how long a transfer may lie idle tells keys apart: never less than configured, at most half as much again', () => {
    fc.assert(fc.property(uuid, fc.integer({ min: 60, max: 86_400 }), (transferKey, configured) => {
      const seconds = transferIdleSeconds(transferKey, configured);
      expect([seconds, Number.isInteger(seconds)]).toEqual([transferIdleSeconds(transferKey, configured), true]);
      expect(seconds).toBeGreaterThanOrEqual(configured);
      expect(seconds).toBeLessThanOrEqual(configured * 1.5);
    }));
    const keys = Array.from({ length: 100 }, () => randomUUID());
    expect(new Set(keys.map((key) => transferIdleSeconds(key, 600))).size).toBeGreaterThan(50);
  });

  test('of a snapshot or VM backup give its backup, whatever prefix', () => {
    fc.assert(fc.property(uuid, fc.stringMatching(/^[\w .-]{1,40}$/), (backupId, prefix) => expect(backupIdInMark(snapshotMark(prefix, backupId))).toBe(backupId)));
    expect(backupIdInMark('Nightly snapshot')).toBeUndefined();
  });
});

describe('ids', () => {
  test.each([zeroUuid, randomUUID(), 'ffffffff-ffff-ffff-ffff-ffffffffffff'])('%s is a UUID', (id) => expect(uuidSchema.safeParse(id).success).toBe(true));
  test.each(['', 'x', randomUUID().toUpperCase().replace(/^./, 'A'), `${randomUUID()} `, `../${randomUUID()}`, randomUUID().replaceAll('-', '')])('"%s" is none', (id) => expect(uuidSchema.safeParse(id).success).toBe(false));
  test.each(['lab', 'a', '0', 'rhv-4-4', 'a'.repeat(63)])('"%s" is a name for the configuration', (name) => expect(configNameSchema.safeParse(name).success).toBe(true));
  test.each(['', 'Lab', 'a/b', 'a.b', '-a', '..', 'a b', 'ä', 'a'.repeat(64), 'a\n'])('"%s" is none', (name) => expect(configNameSchema.safeParse(name).success).toBe(false));

  test('one VM has one lock, two never share one', () => {
    fc.assert(
      fc.property(configName, uuid, configName, uuid, (engine, vm, otherEngine, otherVm) => {
        expect(workflowIds.vm(engine, vm) === workflowIds.vm(otherEngine, otherVm)).toBe(engine === otherEngine && vm === otherVm);
      }),
    );
    expect(workflowIds.vm('lab', zeroUuid)).toBe(`vm/lab/${zeroUuid}`);
    expect(workflowIds.restore(zeroUuid)).toBe(`restore/${zeroUuid}`);
  });

  test('short calls never share a queue with copies, nor one appliance or repository with another', () => {
    fc.assert(
      fc.property(configName, uuid, (name, vm) => {
        const queues = [taskQueues.control, taskQueues.moverCopies(name), taskQueues.moverQuick(name), taskQueues.applianceCopies(name, vm), taskQueues.applianceQuick(name, vm)];
        expect(new Set(queues).size).toBe(queues.length);
      }),
    );
    expect(taskQueues.moverQuick('main')).toBe('mover.main.quick');
    expect(taskQueues.applianceCopies('lab', 'x')).toBe('appliance.lab.x');
  });

  test('marks carry the id that proves them', () => {
    expect(snapshotMark('Nightly', 'b-1')).toBe('Nightly backup b-1');
    expect(vmMark('r-1')).toBe('Holdfast restore r-1');
  });
});

test('holdings of different runs, kinds and objects have different ids; the same has the same', () => {
  const key = fc.tuple(uuid, fc.constantFrom(...holdingKinds), fc.stringMatching(/^[a-z0-9/-]{1,40}$/));
  fc.assert(
    fc.property(key, key, (one, other) => {
      expect(holdingId(...one) === holdingId(...other)).toBe(one.every((part, index) => part === other[index]));
    }),
  );
  const holding = { holdingId: holdingId(zeroUuid, 'snapshot', 'x'), runId: zeroUuid, engine: 'lab', kind: 'snapshot', mark: 'm', state: 'held' };
  expect(holdingSchema.parse(holding)).toEqual(holding);
  expect(holdingSchema.safeParse({ ...holding, state: 'lost' }).success).toBe(false);
});

describe('figures for people', () => {
  test.each([[0, '0 B'], [1, '1 B'], [1023, '1023 B'], [1024, '1.0 KiB'], [1536, '1.5 KiB'], [2 ** 20, '1.0 MiB'], [5 * 2 ** 30, '5.0 GiB'], [3 * 2 ** 40, '3.0 TiB'], [4096 * 2 ** 40, '4096.0 TiB'], [2 ** 20 - 1, '1.0 MiB'], [1000.4, '1000 B']])('%d is %s', (bytes, text) => expect(humanBytes(bytes)).toBe(text));

  test('are never 1024 of a unit that has a larger one', () => {
    fc.assert(fc.property(fc.nat(2 ** 31 - 1), (bytes) => expect(humanBytes(bytes)).not.toMatch(/^1024(\.0)? (?:B|KiB|MiB|GiB)$/)));
  });
});

describe('a manifest\'s summary', () => {
  const disk = (dataBytes: number, fileBytes: number): ManifestDisk => ({
    settings: { diskId: randomUUID(), alias: `disk ${dataBytes}`, description: 'secret plans', virtualBytes: 1000, format: 'cow', sparse: true, backup: 'none', wipeAfterDelete: false, interface: 'virtio', bootable: false, active: true, readOnly: false, passDiscard: false },
    image: { file: 'a.qcow2', format: 'qcow2', fileBytes, base: null }, mode: 'full', witnessed: false, digests: { file: 'a.digests', algorithm: 'sha256', blockBytes: 1024 * 1024, fileSha256: 'a'.repeat(64), root: 'b'.repeat(64) }, dataBytes, transport: 'san', seconds: 1,
  });
  const manifest: Manifest = {
    format: 'holdfast-backup', version: 1, backupId: randomUUID(), runId: randomUUID(), engine: { name: 'lab', product: 'oVirt Engine', version: '4.5.8' }, vm: { id: randomUUID(), name: 'demo' },
    method: 'appliance', kind: 'full', base: null, reason: { code: 'method.full-only', text: 't' }, consistency: { level: 'unknown', evidence: 'e' }, checkpoint: null,
    snapshot: { id: randomUUID(), description: 'd', createdAt: '2026-11-21T05:00:00.000Z' }, vmBackup: null, notes: [], configuration: { file: 'vm.ovf', bytes: 1, sha256: 'c'.repeat(64) }, disks: [disk(10, 100), disk(20, 200)], leftOut: [],
    startedAt: '2026-11-21T04:59:00.000Z', sealedAt: '2026-11-21T05:10:00.000Z', holdfast: '0.1.0',
  };

  test('is a summary by its schema, adds up the disks and keeps their order', () => {
    const summary = summarize(manifestSchema.parse(manifest), 'main', 'd'.repeat(64));
    expect(backupSummarySchema.parse(summary)).toEqual(summary);
    expect(summary).toMatchObject({ backupId: manifest.backupId, repository: 'main', engine: 'lab', vmName: 'demo', baseBackupId: null, consistency: 'unknown', createdAt: '2026-11-21T05:00:00.000Z', virtualBytes: 2000, dataBytes: 30, imageBytes: 300, manifestSha256: 'd'.repeat(64) });
    expect(summary.disks).toEqual(manifest.disks.map(({ settings: { diskId, alias, virtualBytes }, dataBytes, digests: { root } }) => ({ diskId, alias, virtualBytes, dataBytes, root })));
  });

  test('of an older release has what it could not say yet as nothing', () => {
    const without = (of: object, ...keys: readonly string[]): object => Object.fromEntries(Object.entries(of).filter(([key]) => !keys.includes(key)));
    const read = manifestSchema.parse({ ...without(manifest, 'notes', 'vmBackup'), disks: manifest.disks.map((each) => without(each, 'mode', 'witnessed')) });
    expect(read).toEqual(manifest);
    expect(summarize(read, 'main', 'd'.repeat(64))).toMatchObject({ reason: manifest.reason, checkpointId: null, witnessed: false });
  });

  test('of a backup by transfer has the VM backup\'s time, its checkpoint, and a witness only for all disks', () => {
    const vmBackup = { id: randomUUID(), style: 'live' as const, createdAt: '2026-11-21T06:00:00.000Z' };
    const checkpoint = { id: randomUUID() };
    const [one, two] = [disk(1, 1), disk(2, 2)];
    const of = (...disks: ManifestDisk[]) => summarize(manifestSchema.parse({ ...manifest, method: 'transfer', snapshot: null, vmBackup, checkpoint, disks }), 'main', 'd'.repeat(64));
    expect(of({ ...one, witnessed: true }, two)).toMatchObject({ method: 'transfer', createdAt: vmBackup.createdAt, checkpointId: checkpoint.id, witnessed: false });
    expect(of({ ...one, witnessed: true }, { ...two, witnessed: true })).toMatchObject({ witnessed: true });
    expect(of()).toMatchObject({ witnessed: false });
  });

  test('names the base of a backup that has one, and is fine without disks', () => {
    const base = { backupId: randomUUID(), manifestSha256: 'e'.repeat(64) };
    expect(summarize({ ...manifest, base, disks: [] }, 'main', 'd'.repeat(64))).toMatchObject({ baseBackupId: base.backupId, virtualBytes: 0, dataBytes: 0, imageBytes: 0, disks: [] });
  });
});
