// The doctor's activities on real parts: PostgreSQL, Temporal, file systems, QEMU's locks, LVM's configuration. Each check is seen to fail when
// what it looks at is broken. What needs an engine is in test/e2e/doctor.suite.ts.
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { Client } from 'pg';
import { createApplianceDoctor, createControlDoctor, createMoverDoctor, type ControlExamination, type PlacedRepository } from '../../activities/doctor';
import { examine } from '../../activities/doctor/examine';
import { createCatalog } from '../../adapters/catalog/catalog';
import { fileSystemOf, parseMount } from '../../adapters/machine/file-system';
import { examineLvm, type LvmPlaces } from '../../adapters/machine/lvm';
import { examinePrograms } from '../../adapters/machine/programs';
import { createRepository } from '../../adapters/repository/repository';
import { checkIds, checkTable, ok, type Check, type CheckId } from '../../domain/doctor/checks';
import { judgeLvm } from '../../domain/doctor/judge-lvm';
import { temporalExamination } from '../../worker/examinations';
import { startPostgres, type TestPostgres } from '../support/postgres';
import { startTemporal, type TestTemporal } from '../support/temporal';

Runtime.install({ logger: new DefaultLogger('ERROR') });
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hf-doctor-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const worker = (aheadMs = 0) => ({ version: 'test', now: () => new Date(Date.now() + aheadMs) });
const run = <T>(activity: (...args: never[]) => Promise<T>, ...input: readonly unknown[]): Promise<T> =>
  new MockActivityEnvironment({ currentAttemptScheduledTimestampMs: Date.now() }).run<unknown[], T, (...args: unknown[]) => Promise<T>>(activity as (...args: unknown[]) => Promise<T>, ...input);
const found = (checks: readonly Check[], id: CheckId): Check | undefined => checks.find((check) => check.id === id);
const verdictsOf = (checks: readonly Check[], ...ids: readonly CheckId[]): readonly (string | undefined)[] => ids.map((id) => found(checks, id)?.verdict);
const idsOf = (group: string): readonly string[] => checkIds.filter((id) => checkTable[id].group === group && !id.startsWith('queue.'));

async function repositoryAt(name: string, at = path.join(directory, name)): Promise<PlacedRepository> {
  const repository = createRepository({ name, path: at });
  await repository.open();
  return { name, path: at, check: () => repository.check() };
}

describe('every look', () => {
  test('has a deadline of its own: a hung mount is a problem in words, not a hung doctor', async () => {
    expect(await examine('repository.space', 'repository x', () => new Promise(() => undefined), 50)).toMatchObject({ verdict: 'problem', text: 'no answer within 0.05 s' });
  });

  test('that fails is a problem with the failure\'s words', async () => {
    expect(await examine('repository.space', 'repository x', () => Promise.reject(new Error('statfs: stale handle')))).toMatchObject({ verdict: 'problem', text: 'statfs: stale handle' });
    expect(await examine('repository.space', 'repository x', () => Promise.resolve(ok('room')))).toMatchObject({ verdict: 'ok', remedy: '' });
  });
});

/** Hosts' data daemons are in doctor-hosts.test.ts. */
const noHosts = {
  engineOf: () => ({ listHosts: () => Promise.resolve([]), listClusters: () => Promise.resolve([]) }),
  daemonsOf: () => ({ proxy: 'when-needed', port: 54_322 }) as const,
};

describe('a mover', () => {
  const examineMover = async (place: PlacedRepository, aheadMs = 0) => run(createMoverDoctor({ ...worker(aheadMs), ...noHosts, placeOf: () => place }).examineMover, { repository: place.name, engines: [{ name: 'lab', applianceIds: [] }] });

  test('with a good repository: all checks, and no trace of the probes', async () => {
    const place = await repositoryAt('main');
    const { checks, repositoryId } = await examineMover(place);
    expect(checks.map(({ id }) => id).sort()).toEqual([...idsOf('mover')].sort());
    expect(checks.filter(({ verdict }) => verdict === 'problem').map(({ id }) => id)).toEqual(['host.data-daemon']);
    expect(repositoryId).toMatch(/^[0-9a-f-]{36}$/);
    expect(await readdir(place.path)).toEqual(['holdfast-repository.json']);
  });

  test('whose repository is gone: not writable, and what needs writing is skipped', async () => {
    const place = await repositoryAt('main');
    await rm(place.path, { recursive: true });
    const { checks } = await examineMover(place);
    expect(verdictsOf(checks, 'repository.writable', 'repository.space', 'repository.flush', 'repository.locking', 'mover.programs')).toEqual(['problem', 'problem', 'skipped', 'skipped', 'ok']);
  });

  test('whose repository may not be written to', async () => {
    // root writes everywhere, except where nobody can: /proc stands for a read-only mount.
    const isRoot = process.getuid?.() === 0;
    const place = isRoot ? { ...(await repositoryAt('main')), path: '/proc', check: () => createRepository({ name: 'main', path: '/proc' }).check().then(() => ({ availableBytes: 0 })) } : await repositoryAt('main');
    if (!isRoot) await chmod(place.path, 0o500);
    const { checks } = await examineMover(place);
    if (!isRoot) await chmod(place.path, 0o700);
    expect(found(checks, 'repository.writable')).toMatchObject({ verdict: 'problem', remedy: expect.stringContaining('Mount it for writing') as string });
  });

  test('whose clock is a minute ahead, or behind', async () => {
    const place = await repositoryAt('main');
    expect(found((await examineMover(place, 60_000)).checks, 'mover.clock')).toMatchObject({ verdict: 'problem', text: expect.stringContaining('ahead of Temporal') as string });
    expect(found((await examineMover(place, -60_000)).checks, 'mover.clock')).toMatchObject({ verdict: 'problem', text: expect.stringContaining('behind Temporal') as string });
  });

  test('without QEMU in its PATH', async () => {
    expect((await examinePrograms(directory)).map(({ program, reason }) => `${program} ${reason ?? ''}`)).toEqual(['qemu-img is not in the PATH', 'qemu-nbd is not in the PATH', 'setpriv is not in the PATH']);
    const versions = (await examinePrograms()).map(({ version }) => version);
    expect(versions).toEqual([expect.stringMatching(/^\d+\.\d+/), versions[0], expect.stringMatching(/^2\.\d+/)]);
  });

  test('sees where a path lies, also below a mount with a blank in its name', async () => {
    expect((await fileSystemOf('/proc/self')).type).toBe('proc');
    expect((await fileSystemOf('/dev/shm')).type).toBe('tmpfs');
    expect(parseMount('36 35 98:0 / /mnt/my\\040disk rw,noatime master:1 - nfs4 server:/x rw,vers=4.2,local_lock=none')).toEqual({ point: '/mnt/my disk', type: 'nfs4', options: ['rw', 'noatime', 'vers=4.2', 'local_lock=none'] });
  });

  test('warns about a repository in memory', async () => {
    const place = await repositoryAt('main', await mkdtemp('/dev/shm/hf-doctor-'));
    try {
      expect(found((await examineMover(place)).checks, 'repository.flush')).toMatchObject({ verdict: 'warning', text: expect.stringContaining('tmpfs') as string });
    } finally {
      await rm(place.path, { recursive: true });
    }
  });
});

describe('the worker in an appliance', () => {
  const examineAppliance = async (devices: string, repositories: readonly PlacedRepository[], repositoryIds: Readonly<Record<string, string>> = {}) =>
    run(createApplianceDoctor({ ...worker(), devices, repositories }).examineAppliance, { engine: 'lab', vmId: 'x', repositoryIds });

  test('sees its devices directory, or that it is none', async () => {
    const place = await repositoryAt('main');
    const checks = await examineAppliance(directory, [place]);
    expect(checks.map(({ id }) => id).sort()).toEqual([...idsOf('appliance')].sort());
    expect(verdictsOf(checks, 'appliance.devices', 'appliance.repository')).toEqual(['ok', 'ok']);
    expect(found(await examineAppliance(path.join(directory, 'none'), [place]), 'appliance.devices')).toMatchObject({ verdict: 'problem' });
    expect(found(await examineAppliance(path.join(place.path, 'holdfast-repository.json'), [place]), 'appliance.devices')).toMatchObject({ verdict: 'problem', text: expect.stringContaining('not a directory') as string });
  });

  test('with an empty directory where the mount should be: another repository than the mover\'s', async () => {
    const checks = await examineAppliance(directory, [await repositoryAt('main')], { main: '00000000-0000-4000-8000-000000000001' });
    expect(found(checks, 'appliance.repository')).toMatchObject({ verdict: 'problem', text: expect.stringContaining('mount is missing') as string });
  });

  /** A program in the place of LVM's, which answers with what Debian's lvmconfig 2.03.16 was seen to print. */
  async function withLvm(settings: Readonly<Record<string, string>>, look: (places: LvmPlaces) => Promise<void>): Promise<void> {
    const bin = path.join(directory, 'bin');
    await mkdir(bin);
    const answers = Object.entries(settings).map(([name, value]) => `devices/${name}) echo '${name}=${value}';;`);
    await writeFile(path.join(bin, 'lvmconfig'), `#!/bin/sh\n[ "$1" = --version ] && exit 0\n[ "$1 $2" = "--typeconfig full" ] || exit 3\ncase "$3" in ${answers.join(' ')} *) exit 5;; esac\n`, { mode: 0o755 });
    // What may not be run is no program either.
    await writeFile(path.join(bin, 'not-run'), '', { mode: 0o644 });
    await look({ devicesDirectory: directory, programs: ['no-such-lvmconfig', path.join(bin, 'not-run'), path.join(bin, 'lvmconfig')] });
    await rm(bin, { recursive: true });
  }

  const asItComes = { use_devicesfile: '0', devicesfile: '"system.devices"', global_filter: '["a|.*|"]', filter: '["a|.*|"]' };

  test('warns when LVM would look at guests\' disks, as LVM comes', () =>
    withLvm(asItComes, async (devices) => {
      const facts = await examineLvm(devices);
      expect(facts).toEqual({ installed: true, useDevicesFile: false, devicesFile: path.join(devices.devicesDirectory, 'system.devices'), devicesFileEntries: undefined, globalFilter: ['a|.*|'], filter: ['a|.*|'] });
      expect(judgeLvm(facts).verdict).toBe('warning');
    }));

  test('is content with a filter, or with a devices file that exists', async () => {
    await withLvm({ ...asItComes, global_filter: '["a|^/dev/vda|","r|.*|"]' }, async (devices) => expect(judgeLvm(await examineLvm(devices)).verdict).toBe('ok'));
    await withLvm({ ...asItComes, use_devicesfile: '1' }, async (devices) => {
      expect(judgeLvm(await examineLvm(devices)).verdict).toBe('warning');
      await writeFile(path.join(devices.devicesDirectory, 'system.devices'), '# made by vgimportdevices\nVERSION=1.1.2\nIDTYPE=sys_wwid IDNAME=t10.x DEVNAME=/dev/vda2 PVID=y PART=2\n');
      expect(judgeLvm(await examineLvm(devices))).toMatchObject({ verdict: 'ok', text: expect.stringContaining('the 1 devices') as string });
    });
  });

  test('an LVM that knows no devices file is read all the same; one that tells nothing is an error', async () => {
    await withLvm({ global_filter: '["r|.*|"]', filter: '["a|.*|"]' }, async (devices) => expect(await examineLvm(devices)).toMatchObject({ useDevicesFile: false, globalFilter: ['r|.*|'] }));
    await withLvm({}, async (devices) => expect(examineLvm(devices)).rejects.toThrow('tells nothing'));
  });
});

describe('the control worker', () => {
  let postgres: TestPostgres;
  let temporal: TestTemporal;
  let connection: NativeConnection;
  beforeAll(async () => {
    [postgres, temporal] = await Promise.all([startPostgres(), startTemporal()]);
    connection = await NativeConnection.connect({ address: temporal.address });
  }, 120_000);
  afterAll(async () => {
    await connection.close();
    await Promise.all([postgres.stop(), temporal.stop()]);
  });

  async function examineControl(change: { readonly prepare?: (url: string) => Promise<void>; readonly namespace?: string; readonly url?: string; readonly expected?: Readonly<Record<string, string>> } = {}): Promise<readonly Check[]> {
    const url = change.url ?? (await postgres.createDatabase());
    const catalog = createCatalog({ url });
    const real = temporalExamination(connection, change.namespace ?? temporal.namespace);
    const dependencies: ControlExamination = {
      ...worker(), catalog, installation: { engines: [], repositories: ['main'] }, usernameOf: () => '', temporal: change.expected === undefined ? real : { ...real, expectedSearchAttributes: change.expected },
      engineOf: () => { throw new Error('no engine here'); },
    };
    try {
      if (change.url === undefined) await catalog.migrate();
      await change.prepare?.(url);
      return await run(createControlDoctor(dependencies).examineControl);
    } finally {
      await catalog.close();
    }
  }

  async function statement(url: string, text: string): Promise<void> {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      await client.query(text);
    } finally {
      await client.end();
    }
  }

  test('finds all well, and all of its checks made', async () => {
    const checks = await examineControl();
    expect(checks.map(({ id }) => id).sort()).toEqual([...idsOf('control')].sort());
    expect(checks.filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
    expect(found(checks, 'catalog.version')?.text).toMatch(/^PostgreSQL 15\.\d+$/);
  });

  test('finds a catalog that is behind, one that is ahead, and one without a schema', async () => {
    const behind = await examineControl({ prepare: (url) => statement(url, 'DELETE FROM holdfast.migrations') });
    expect(found(behind, 'catalog.migrations')).toMatchObject({ verdict: 'problem', text: expect.stringContaining('schema version 0') as string });
    const ahead = await examineControl({ prepare: (url) => statement(url, "INSERT INTO holdfast.migrations (version, name) VALUES (999, 'later')") });
    expect(found(ahead, 'catalog.migrations')).toMatchObject({ verdict: 'problem', remedy: expect.stringContaining('Upgrade this worker') as string });
    const bare = await examineControl({ prepare: (url) => statement(url, 'DROP SCHEMA holdfast CASCADE') });
    expect(found(bare, 'catalog.migrations')?.verdict).toBe('problem');
  });

  test('finds a catalog that does not answer, without telling its password', async () => {
    const checks = await examineControl({ url: 'postgres://holdfast:se-cret@127.0.0.1:9/nothing' });
    expect(verdictsOf(checks, 'catalog.reachable', 'catalog.version', 'catalog.migrations', 'catalog.clock', 'temporal.namespace')).toEqual(['problem', 'skipped', 'skipped', 'skipped', 'ok']);
    expect(JSON.stringify(checks)).not.toContain('se-cret');
  });

  test('finds a namespace that is missing', async () => {
    expect(verdictsOf(await examineControl({ namespace: 'nowhere' }), 'temporal.namespace')).toEqual(['problem']);
  });

  test('finds search attributes that are missing or of another type', async () => {
    const { operatorService } = connection;
    const text = 1;
    const { namespace } = temporal;
    await operatorService.removeSearchAttributes({ namespace, searchAttributes: ['HoldfastOutcome'] });
    const checks = await examineControl();
    expect(found(checks, 'temporal.search-attributes')).toMatchObject({ verdict: 'problem', text: 'missing: HoldfastOutcome', remedy: expect.stringContaining(`--namespace ${namespace} --name HoldfastOutcome --type Keyword`) as string });
    await operatorService.addSearchAttributes({ namespace, searchAttributes: { HoldfastOutcome: text as never } });
    expect(found(await examineControl(), 'temporal.search-attributes')?.text).toBe('HoldfastOutcome is Text instead of Keyword');
  });
});
