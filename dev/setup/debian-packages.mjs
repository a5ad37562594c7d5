// QEMU and its friends from Debian: installed with apt as root, otherwise unpacked into the user's cache and reached
// through PATH, LD_LIBRARY_PATH and QEMU's -L. Nothing is upgraded: only packages that are missing are asked for.
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, renameSync, rmSync, statSync, symlinkSync, unlinkSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { pythonProblems } from './requirements.mjs';
import { Problem, onPath, run, shortHash, withLock } from './shell.mjs';

/** Package → a command that proves it on a machine without dpkg (none: its files come with QEMU there). */
const labPackages = {
  'qemu-system-x86': 'qemu-system-x86_64',
  'qemu-utils': 'qemu-img',
  seabios: undefined,
  'ipxe-qemu': undefined,
  'busybox-static': 'busybox',
  cpio: 'cpio',
  'qemu-guest-agent': 'qemu-ga',
  zstd: 'zstd',
  lz4: 'lz4',
  fuse3: 'fusermount3',
  e2fsprogs: 'mkfs.ext4',
  openssl: 'openssl',
  'util-linux': 'setpriv',
};
/** ovirt-engine-sdk-python compiles against libxml2; pycurl comes as a wheel. */
const venvPackages = { 'libxml2-dev': 'xml2-config' };
/** psql and pg_dump as an engine's host has them: tests of `engine-backup-hook`. The embedded PostgreSQL comes without. */
const testPackages = { 'postgresql-client': 'psql' };

/** Root can give itself these; for others they are requirements that are named (requirements.mjs). */
const pythonPackages = { python3: 'python3', 'python3-venv': undefined, 'python3-dev': undefined, gcc: 'gcc', 'libc6-dev': undefined };

/** The groups are unpacked apart, so that `npm test` adds to what `npm start` has brought. */
async function wantedGroups({ venv, isRoot }) {
  if (!venv) return [labPackages];
  const python = isRoot && (await pythonProblems()).length > 0 ? pythonPackages : {};
  return [labPackages, { ...venvPackages, ...python }, testPackages];
}

async function missingPackages(packages) {
  const names = Object.keys(packages);
  if (!onPath('dpkg-query')) return names.filter((name) => packages[name] && !onPath(packages[name], withSbin(process.env)));
  // dpkg-query fails when one of the names is unknown, and still prints the others.
  const known = await run('sh', ['-c', 'dpkg-query -W -f "\\${Package} \\${db:Status-Status}\\n" "$@" 2>/dev/null || true', 'sh', ...names]);
  const installed = new Set(known.split('\n').filter((line) => line.endsWith(' installed')).map((line) => line.split(' ')[0]));
  return names.filter((name) => !installed.has(name));
}

/** mkfs.ext4 lives in /usr/sbin, which an ordinary user's PATH lacks on Debian. */
const withSbin = (env) => ({ ...env, PATH: [env.PATH, '/usr/sbin', '/sbin'].filter(Boolean).join(delimiter) });

const aptInstall = ['install', '-y', '--no-install-recommends', '-o', 'Dpkg::Use-Pty=0'];

async function installAsRoot(missing, say) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const lockWait = ['-o', 'DPkg::Lock::Timeout=120'];
  say(`installing Debian packages: ${missing.join(' ')}`);
  try {
    await run('apt-get', [...lockWait, ...aptInstall, ...missing], { env });
  } catch {
    // Package lists that are missing or old: fetch them once, then the failure is final.
    say('fetching the lists of Debian packages');
    await run('apt-get', [...lockWait, 'update', '-q'], { env });
    await run('apt-get', [...lockWait, ...aptInstall, ...missing], { env });
  }
}

/** apt with state and cache directories of its own; only the machine's list of installed packages is shared (read). */
function privateApt(directory) {
  for (const name of ['state/lists/partial', 'cache/archives/partial']) mkdirSync(join(directory, name), { recursive: true });
  return [
    '-o', `Dir::State=${join(directory, 'state')}`, '-o', 'Dir::State::status=/var/lib/dpkg/status', '-o', `Dir::Cache=${join(directory, 'cache')}`,
    '-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User=', '-o', 'Binary::apt::APT::Keep-Downloaded-Packages=1', '-o', 'APT::Update::Post-Invoke::=', '-o', 'Dpkg::Use-Pty=0',
  ];
}

/** A -dev package's link points beside itself, at a library that the machine already has elsewhere. */
function mendLibraryLinks(directory) {
  for (const name of existsSync(directory) ? readdirSync(directory) : []) {
    const link = join(directory, name);
    if (!lstatSync(link).isSymbolicLink() || existsSync(link)) continue;
    const system = join('/usr/lib', basename(directory), basename(readlinkSync(link)));
    if (!existsSync(system)) continue;
    unlinkSync(link);
    symlinkSync(system, link);
  }
}

/** `<root>/{usr/lib,lib}/<triplet>`: some packages of a merged-usr Debian still ship their libraries under /lib. */
function tripletDirectories(root) {
  const bases = [join(root, 'usr', 'lib'), join(root, 'lib')].filter((base) => existsSync(base));
  return bases.flatMap((base) => readdirSync(base).filter((name) => name.endsWith('-linux-gnu')).map((name) => join(base, name)));
}

async function unpack(missing, finished, cacheDir, say) {
  const work = mkdtempSync(join(cacheDir, 'debian-new-'));
  const apt = privateApt(work);
  try {
    say(`unpacking Debian packages into ${finished} (not root, nothing is installed): ${missing.join(' ')}`);
    await run('apt-get', [...apt, 'update', '-q']);
    await run('apt-get', [...apt, ...aptInstall, '--download-only', ...missing]);
    const archives = join(work, 'cache', 'archives');
    const fetched = readdirSync(archives).filter((file) => file.endsWith('.deb'));
    if (fetched.length < missing.length) throw new Error(`apt-get fetched only ${fetched.length} of them (a file: source in its lists? copy: works)`);
    const root = join(work, 'root');
    mkdirSync(root);
    for (const name of fetched) await run('dpkg-deb', ['-x', join(archives, name), root]);
    tripletDirectories(root).forEach(mendLibraryLinks);
    mkdirSync(finished, { recursive: true });
    renameSync(root, join(finished, 'root'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const isSetuid = (file) => file !== undefined && (statSync(file).mode & 0o4000) !== 0;

/** What children need to find an unpacked root. */
export function unpackedEnvironment(root, env) {
  const joined = (...parts) => parts.filter(Boolean).join(delimiter);
  const libraries = [...tripletDirectories(root), join(root, 'usr', 'lib')];
  const path = joined(...['usr/bin', 'usr/sbin', 'bin', 'sbin'].map((name) => join(root, name)).filter((name) => existsSync(name)), env.PATH);
  return {
    ...env,
    PATH: path,
    LD_LIBRARY_PATH: joined(...libraries, env.LD_LIBRARY_PATH),
    HOLDFAST_QEMU_DATA: joined(...['usr/share/seabios', 'usr/share/qemu', 'usr/lib/ipxe/qemu'].map((name) => join(root, name)).filter((path) => existsSync(path)), env.HOLDFAST_QEMU_DATA),
    // An unpacked fusermount3 has no setuid bit, so an ordinary user cannot mount with it.
    ...(isSetuid(onPath('fusermount3', env)) ? {} : { HOLDFAST_FUSE: 'off' }),
    CPATH: joined(join(root, 'usr/include'), join(root, 'usr/include/libxml2'), env.CPATH),
    LIBRARY_PATH: joined(...libraries, env.LIBRARY_PATH),
  };
}

/** Brings one group; returns the root it was unpacked into, if it was. */
export async function ensureGroup(packages, { cacheDir, say, isRoot }) {
  const missing = await missingPackages(packages);
  if (missing.length === 0) return undefined;
  if (!onPath('apt-get') || !onPath('dpkg-deb')) throw new Problem(`these programs are missing and this is no Debian or Ubuntu: ${missing.join(' ')}`, "install them with your distribution's package manager (the names are Debian's)");
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const finished = join(cacheDir, 'debian', shortHash(release, process.arch, ...missing));
  const root = join(finished, 'root');
  if (!isRoot && existsSync(root)) return root;
  await withLock(join(cacheDir, 'locks', 'debian'), say, async () => {
    try {
      if (isRoot) await installAsRoot(missing, say);
      else if (!existsSync(root)) await unpack(missing, finished, cacheDir, say);
    } catch (error) {
      throw new Problem(`Debian packages could not be had: ${error.message}`, `make the package mirror reachable, or have an administrator run: apt-get install ${missing.join(' ')}`);
    }
  });
  return isRoot ? undefined : root;
}

/** Returns the environment in which the packages' programs are found. */
export async function ensureDebianPackages({ cacheDir, say, venv = false, isRoot = process.getuid() === 0 }) {
  let env = withSbin(process.env);
  for (const packages of await wantedGroups({ venv, isRoot })) {
    const root = await ensureGroup(packages, { cacheDir, say, isRoot });
    if (root) env = unpackedEnvironment(root, env);
  }
  return env;
}
