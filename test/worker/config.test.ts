// The worker's configuration: every mistake is told by its key, all at once, and no secret is ever part of it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { loadConfig, parseConfig, readSecret, type Environment, type WorkerConfig } from '../../worker/config';
import { HoldfastError } from '../../domain/failures';

const vmId = 'aaaaaaaa-0000-4000-8000-000000000001';
const engine = { url: 'https://engine.example.org/ovirt-engine/api', username: 'holdfast@internal', password: { variable: 'ENGINE_PASSWORD' }, caFile: '/etc/holdfast/ca.pem', appliances: [vmId] };
const full = {
  roles: ['control', 'mover', 'appliance'], catalog: { url: { file: '/etc/holdfast/catalog-url' } }, engines: { lab: engine }, repositories: { main: { path: '/backups' } }, appliance: { engine: 'lab', vmId },
};

const parse = (config: unknown, environment: Environment = {}): WorkerConfig => parseConfig(stringify(config), 'worker.yaml', environment);

function complaint(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'config.invalid') return error.message;
    throw error;
  }
  throw new Error('the configuration was expected to be refused');
}

test('a short file is enough: everything else has a default', () => {
  expect(parse(full)).toMatchObject({
    temporal: { address: '127.0.0.1:7233', namespace: 'default' }, engines: { lab: { insecure: false, snapshotPrefix: 'Holdfast', copiesAtOnce: 4, copiesAtOncePerStorageDomain: 2, storageDomains: {}, chains: { maxLength: 30 }, witness: { every: 7 }, imageio: { proxy: 'when-needed', port: 54_322, connections: 4, inactivityTimeoutSeconds: 600 }, awareness: { vms: [] } } }, appliance: { devices: '/dev/disk/by-id' },
    limits: { copiesPerWorker: 2, disksPerRun: 2 }, deadlines: { snapshotSeconds: 1800, workerSeconds: 120, undoSeconds: 21_600 }, heartbeatSeconds: 30, log: { level: 'info' },
  });
});

test('a section that is given in part keeps the defaults of the rest', () => {
  expect(parse({ ...full, deadlines: { undoSeconds: 60 }, limits: { disksPerRun: 4 }, temporal: { namespace: 'backups' } })).toMatchObject({
    deadlines: { undoSeconds: 60, snapshotSeconds: 1800 }, limits: { disksPerRun: 4, copiesPerWorker: 2 }, temporal: { namespace: 'backups', address: '127.0.0.1:7233' },
  });
  expect(parse({ ...full, engines: { lab: { ...engine, imageio: { proxy: 'never' } } } }).engines['lab']?.imageio).toEqual({ proxy: 'never', port: 54_322, connections: 4, inactivityTimeoutSeconds: 600 });
  expect(parse({ ...full, engines: { lab: { ...engine, chains: { fullEveryDays: 7 }, witness: 'always' } } }).engines['lab']).toMatchObject({ chains: { maxLength: 30, fullEveryDays: 7 }, witness: 'always' });
});

describe('a mistake is named by its key', () => {
  test.each<[string, object, RegExp]>([
    ['no roles', { roles: [] }, /- roles: /],
    ['a role that does not exist', { roles: ['boss'] }, /- roles\.0: /],
    ['a key that does not exist', { rolls: 1 }, /rolls/],
    ['an engine without TLS', { engines: { lab: { ...engine, url: 'http://engine/api' } } }, /- engines\.lab\.url: /],
    ['a password in the file', { engines: { lab: { ...engine, password: 'hunter2' } } }, /- engines\.lab\.password: /],
    ['a name with a slash', { engines: { 'a/b': engine } }, /- engines\.a\/b: /],
    ['an appliance that is no id', { engines: { lab: { ...engine, appliances: ['appliance'] } } }, /- engines\.lab\.appliances\.0: must be a UUID/],
    ['a repository by a relative path', { repositories: { main: { path: 'backups' } } }, /- repositories\.main\.path: /],
    ['a catalog URL in the file', { catalog: { url: 'postgres://u:p@h/d' } }, /- catalog\.url: /],
    ['an engine that may copy nothing', { engines: { lab: { ...engine, copiesAtOnce: 0 } } }, /- engines\.lab\.copiesAtOnce: /],
    ['a storage domain with an unknown limit', { engines: { lab: { ...engine, storageDomains: { data1: { copies: 1 } } } } }, /- engines\.lab\.storageDomains\.data1/],
    ['a chain of none', { engines: { lab: { ...engine, chains: { maxLength: 0 } } } }, /- engines\.lab\.chains\.maxLength: /],
    ['a witness now and then', { engines: { lab: { ...engine, witness: 'sometimes' } } }, /- engines\.lab\.witness: /],
    ['a way to the data that does not exist', { engines: { lab: { ...engine, imageio: { proxy: 'always' } } } }, /- engines\.lab\.imageio\.proxy: /],
    ['transfers that end before a host has answered', { engines: { lab: { ...engine, imageio: { inactivityTimeoutSeconds: 5 } } } }, /- engines\.lab\.imageio\.inactivityTimeoutSeconds: /],
    ['an objective without an age', { engines: { lab: { ...engine, awareness: { vms: [{ name: 'daily', vms: { name: '*' } }] } } } }, /- engines\.lab\.awareness\.vms\.0\.maxAgeHours: must be given, or "exempt: true"/],
    ['an exemption with an age', { engines: { lab: { ...engine, awareness: { vms: [{ name: 'scratch', vms: { name: '*' }, exempt: true, maxAgeHours: 24 }] } } } }, /- engines\.lab\.awareness\.vms\.0\.maxAgeHours: asks for backups/],
    ['an objective of nothing', { engines: { lab: { ...engine, awareness: { vms: [{ name: 'daily', vms: {}, maxAgeHours: 24 }] } } } }, /- engines\.lab\.awareness\.vms\.0\.vms: must be \{ name/],
    ['a limit of none', { limits: { disksPerRun: 0 } }, /- limits\.disksPerRun: /],
    ['a deadline of nothing', { deadlines: { undoSeconds: 0 } }, /- deadlines\.undoSeconds: /],
    ['a log level that does not exist', { log: { level: 'loud' } }, /- log\.level: /],
    ['a prefix that the engine would not search for', { engines: { lab: { ...engine, snapshotPrefix: 'a"b' } } }, /- engines\.lab\.snapshotPrefix: /],
  ])('%s', (_what, changes, expected) => {
    const message = complaint(() => parse({ ...full, ...changes }));
    expect(message).toMatch(expected);
    expect(message).toMatch(/^The worker's configuration worker\.yaml is not valid:\n[^]*docs\/operators\.md/);
  });

  test('all of them at once, and never with the value of a would-be secret', () => {
    const message = complaint(() => parse({ ...full, roles: ['boss'], engines: { lab: { ...engine, password: 'hunter2' } }, catalog: { url: 'postgres://u:hunter3@h/d' }, limits: { disksPerRun: 0 } }));
    for (const key of ['roles.0', 'engines.lab.password', 'catalog.url', 'limits.disksPerRun']) expect(message).toContain(`- ${key}: `);
    expect(message).not.toMatch(/hunter/);
  });

  test.each([['a: [', /not YAML/], ['', /\(top level\)/], ['- a', /\(top level\)/], ['7', /\(top level\)/]])('a file with %j is told as such', (text, expected) => {
    expect(complaint(() => parseConfig(text, 'worker.yaml', {}))).toMatch(expected);
  });
});

describe('what one key demands of another', () => {
  const { catalog, engines, repositories, appliance } = full;
  const rest = { catalog, engines, repositories, appliance };
  test.each<[string, object, readonly string[]]>([
    ['control needs catalog and engine', { roles: ['control'] }, ['catalog.url', 'engines']],
    ['a mover needs a repository', { roles: ['mover'] }, ['repositories']],
    ['an appliance needs to know where it is, and a repository', { roles: ['appliance'] }, ['appliance', 'repositories']],
    ['all roles need all', { roles: full.roles }, ['catalog.url', 'engines', 'repositories', 'appliance', 'repositories']],
  ])('%s', (_what, config, keys) => {
    const named = complaint(() => parse(config)).split('\n').flatMap((line) => /^ {2}- ([\w.]+): role /.exec(line)?.[1] ?? []);
    expect(named).toEqual(keys);
    expect(() => parse({ ...rest, ...config })).not.toThrow();
  });
});

describe('the environment', () => {
  test('wins over the file, key by key', () => {
    const given = { ...full, temporal: { address: 'a:1', namespace: 'file' }, log: { level: 'warn' } };
    expect(parse(given, { HOLDFAST_TEMPORAL_ADDRESS: 'b:2' })).toMatchObject({ temporal: { address: 'b:2', namespace: 'file' }, log: { level: 'warn' } });
    expect(parse(full, { HOLDFAST_TEMPORAL_NAMESPACE: 'env', HOLDFAST_LOG_LEVEL: 'debug' })).toMatchObject({ temporal: { address: '127.0.0.1:7233', namespace: 'env' }, log: { level: 'debug' } });
  });

  test('is validated like the file', () => {
    expect(complaint(() => parse(full, { HOLDFAST_LOG_LEVEL: 'loud' }))).toMatch(/- log\.level: /);
  });
});

describe('files', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'holdfast-config-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const write = (name: string, text: string): string => {
    writeFileSync(path.join(directory, name), text);
    return path.join(directory, name);
  };

  test('YAML and JSON are both read; one that is not there is named', () => {
    expect(loadConfig(write('worker.json', JSON.stringify(full)), {}).roles).toEqual(full.roles);
    expect(complaint(() => loadConfig(path.join(directory, 'none.yaml'), {}))).toMatch(/none\.yaml.*--config/);
  });

  test('a secret comes from its file or variable each time it is asked for', () => {
    const file = write('password', 'first\n');
    expect(readSecret({ file }, {})).toBe('first');
    write('password', '  second  \n');
    expect(readSecret({ file }, {})).toBe('second');
    expect(readSecret({ variable: 'SECRET' }, { SECRET: 'third' })).toBe('third');
  });

  test('a secret that is missing or empty is named, not guessed', () => {
    expect(complaint(() => readSecret({ variable: 'SECRET' }, {}))).toContain('SECRET');
    expect(complaint(() => readSecret({ variable: 'SECRET' }, { SECRET: '' }))).toContain('SECRET');
    expect(complaint(() => readSecret({ file: path.join(directory, 'none') }, {}))).toContain('none');
    const empty = write('empty', '\n');
    expect(complaint(() => readSecret({ file: empty }, {}))).toContain(empty);
  });
});
