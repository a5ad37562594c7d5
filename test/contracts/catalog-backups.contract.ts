// What any catalog does with backups: its index of the manifests, and what verifications found.
import { randomUUID } from 'node:crypto';
import type { Catalog, NewRun } from '../../adapters/catalog/port';
import type { BackupSummary } from '../../domain/manifest';

const page = { limit: 100, offset: 0 };

export function newRun(changes: Partial<NewRun> = {}): NewRun {
  return { runId: randomUUID(), workflowId: 'vm/lab/x', workflowType: 'backupVm', engine: 'lab', vmId: randomUUID(), vmName: 'demo', backupId: randomUUID(), ...changes };
}

export function newBackup(changes: Partial<BackupSummary> = {}): BackupSummary {
  return {
    backupId: randomUUID(), repository: 'main', engine: 'lab', vmId: randomUUID(), vmName: 'demo', method: 'appliance', kind: 'full', baseBackupId: null, reason: null, checkpointId: null, witnessed: false, consistency: 'filesystem',
    createdAt: '2026-11-21T05:00:00.123Z', sealedAt: '2026-11-21T05:10:00.456Z', virtualBytes: 5 * 2 ** 40 + 1, dataBytes: 3 * 2 ** 40, imageBytes: 2 ** 40,
    disks: ['system', 'data'].map((alias) => ({ diskId: randomUUID(), alias, virtualBytes: 2 ** 41 + 1, dataBytes: 2 ** 40, root: 'a'.repeat(64) })),
    manifestSha256: 'b'.repeat(64),
    ...changes,
  };
}

const unverified = <Row extends BackupSummary>(backup: Row): Row & { readonly verification: null } => ({ ...backup, verification: null });

export function backupsContract(catalog: () => Catalog): void {
  const list = (query: Partial<Parameters<Catalog['listBackups']>[0]> = {}): ReturnType<Catalog['listBackups']> => catalog().listBackups({ page, ...query });

  test('an indexed backup is listed as it was given, sizes beyond 32 bits and order of disks included; indexing again changes nothing', async () => {
    const backup = newBackup({ method: 'transfer', kind: 'incremental', baseBackupId: randomUUID(), reason: { code: 'chain.continued', text: 'It continues a chain.' }, checkpointId: randomUUID(), witnessed: true });
    for (let turn = 0; turn < 3; turn += 1) {
      await catalog().indexBackups([backup]);
      expect(await list()).toStrictEqual([unverified(backup)]);
    }
    const bare = { ...backup, vmName: 'renamed', disks: [] };
    await catalog().indexBackups([bare]);
    expect(await list()).toStrictEqual([unverified(bare)]);
  });

  test('lists newest first, equal times in a stable order, in pages with one row too many', async () => {
    const same = Array.from({ length: 5 }, () => newBackup()).sort((a, b) => (a.backupId < b.backupId ? 1 : -1));
    const newer = newBackup({ createdAt: '2026-11-22T00:00:00.000Z' });
    for (const backup of [...same, newer].reverse()) await catalog().indexBackups([backup]);
    const expected = [newer, ...same].map(({ backupId }) => backupId);
    const ids = async (limit: number, offset: number): Promise<string[]> => (await list({ page: { limit, offset } })).map(({ backupId }) => backupId);
    expect(await ids(100, 0)).toEqual(expected);
    expect(await ids(2, 0)).toEqual(expected.slice(0, 3));
    expect(await ids(2, 4)).toEqual(expected.slice(4, 6));
  });

  test('finds by engine, repository, VM id, VM name and backup id', async () => {
    const wanted = newBackup({ engine: 'wanted', repository: 'wanted', vmName: 'wanted' });
    await catalog().indexBackups([wanted]);
    await catalog().indexBackups([newBackup()]);
    for (const query of [{ engine: 'wanted' }, { repository: 'wanted' }, { vmName: 'wanted' }, { vmId: wanted.vmId }, { backupId: wanted.backupId }]) expect(await list(query)).toEqual([unverified(wanted)]);
    expect(await list({ engine: 'wanted', repository: 'main' })).toEqual([]);
  });

  test('a rebuild forgets what it did not come across, in its repository and in no other; what is sealed meanwhile stays', async () => {
    const [kept, vanished, elsewhere, meanwhile] = [newBackup(), newBackup(), newBackup({ repository: 'other' }), newBackup()];
    await catalog().indexBackups([kept, vanished, elsewhere]);
    const since = await catalog().now();
    const corrected = { ...kept, vmName: 'renamed' };
    const found = newBackup();
    await catalog().indexBackups([corrected, found]);
    await catalog().indexBackups([meanwhile]);
    expect(await catalog().forgetBackupsNotIndexedSince('main', since)).toEqual({ removed: 1, indexed: 3 });
    const sorted = (rows: readonly BackupSummary[]): BackupSummary[] => [...rows].sort((a, b) => a.backupId.localeCompare(b.backupId));
    expect(sorted(await list())).toStrictEqual(sorted([corrected, found, elsewhere, meanwhile].map(unverified)));
    expect(await catalog().forgetBackupsNotIndexedSince('main', since)).toEqual({ removed: 0, indexed: 3 });
  });

  test('a directory that lies in a repository twice is one backup', async () => {
    const backup = newBackup();
    await catalog().indexBackups([backup, backup]);
    expect(await list()).toStrictEqual([unverified(backup)]);
  });

  test('a row that an older worker hands in has no reason, and is taken all the same', async () => {
    const older: Partial<BackupSummary> = newBackup();
    delete older.reason;
    delete older.checkpointId;
    delete older.witnessed;
    await catalog().indexBackups([older as BackupSummary]);
    expect(await list()).toStrictEqual([{ ...older, reason: null, checkpointId: null, witnessed: false, verification: null }]);
  });

  test('a backup is listed with its newest verification, which indexing it again and a rebuild do not forget', async () => {
    const [backup, other] = [newBackup(), newBackup()];
    const [first, second] = [newRun(), newRun()];
    for (const run of [first, second]) await catalog().openRun(run);
    await catalog().indexBackups([backup, other]);
    const of = { repository: backup.repository, backupId: backup.backupId };
    const failure = { code: 'digest.mismatch', message: 'block 7 of disk system' };
    for (let turn = 0; turn < 2; turn += 1) await catalog().recordVerification({ ...of, runId: first.runId, outcome: 'failed', dataBytes: 2 ** 40, failure });
    const found = async () => (await list({ backupId: backup.backupId }))[0]?.verification;
    expect(await found()).toEqual({ outcome: 'failed', runId: first.runId, dataBytes: 2 ** 40, failure, verifiedAt: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/) as string });
    await catalog().recordVerification({ ...of, runId: second.runId, outcome: 'passed', dataBytes: 0, failure: null });
    const since = await catalog().now();
    await catalog().indexBackups([backup, other]);
    await catalog().forgetBackupsNotIndexedSince('main', since);
    expect(await found()).toMatchObject({ outcome: 'passed', runId: second.runId, dataBytes: 0, failure: null });
    expect((await list({ backupId: other.backupId }))[0]?.verification).toBeNull();
  });

  test('rebuilds and single backups at once do not get in each other\'s way', async () => {
    const all = Array.from({ length: 1000 }, () => newBackup());
    await catalog().indexBackups(all);
    // In opposite orders: without taking turns they lock each other's rows crosswise, and PostgreSQL kills one of them.
    for (let turn = 0; turn < 3; turn += 1) await Promise.all([catalog().indexBackups(all), catalog().indexBackups([...all].reverse()), ...all.slice(0, 10).map((backup) => catalog().indexBackups([backup]))]);
    expect(await list({ page: { limit: 2000, offset: 0 } })).toHaveLength(1000);
  });
}
