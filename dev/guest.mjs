// Builds the lab's tiny Linux guest: a Debian cloud kernel and an initramfs of busybox and qemu-ga, both unpacked, never
// installed. Plain Node without npm packages, because it runs before anything is installed. It starts no VM: the saved
// state of the booted guest is made by lab/host/ on first use, since it depends on the QEMU that will resume it.
import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildInitramfs } from './guest-initramfs.mjs';

const self = fileURLToPath(import.meta.url);
const recipeFiles = [self, ...['guest-initramfs.mjs', 'guest-reseed.mjs'].map((name) => path.join(path.dirname(self), name))];
const kernelMetapackage = 'linux-image-cloud-amd64';
const systemDirectories = ['/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/**
 * Makes sure `<cacheDir>/guest/<hash>/{vmlinux,initrd.zst}` exists and returns that directory. Quick when it does; two set-ups may race.
 * `qemuEnv` is the environment in which Debian's programs are found (PATH, LD_LIBRARY_PATH), also when they were only unpacked.
 */
export async function ensureGuest({ cacheDir, say = () => {}, qemuEnv = process.env }) {
  const root = path.join(cacheDir, 'guest');
  const tools = { busybox: findProgram('busybox', qemuEnv), qemuGa: findProgram('qemu-ga', qemuEnv) };
  const recipe = digest(...recipeFiles.map((file) => fs.readFileSync(file)), ...Object.values(tools).map((file) => fs.readFileSync(file)));
  const present = findBuilt(root, recipe);
  if (present) return present;

  fs.mkdirSync(root, { recursive: true });
  dropDeadBuilds(root);
  const work = path.join(root, `.building-${process.pid}-${randomBytes(4).toString('hex')}`);
  fs.mkdirSync(work);
  try {
    say('lab guest: fetching a kernel package');
    const kernel = await fetchKernel(work, qemuEnv);
    say(`lab guest: building the initramfs for ${kernel.release}`);
    const out = path.join(work, 'out');
    fs.mkdirSync(out);
    writeDurably(path.join(out, 'vmlinux'), unpackKernel(fs.readFileSync(kernel.image), qemuEnv));
    const archive = buildInitramfs({ tools, modulesDir: kernel.modulesDir, env: qemuEnv });
    writeDurably(path.join(out, 'initrd.zst'), execFileSync('zstd', ['-q', '-6', '-c'], { input: archive, env: qemuEnv, maxBuffer: 1 << 28 }));
    writeDurably(path.join(out, 'guest.json'), JSON.stringify({ recipe, kernel: kernel.release, kernelVersion: kernel.version }, null, 2) + '\n');
    const target = path.join(root, digest(recipe, kernel.version).slice(0, 16));
    publish(out, target);
    say(`lab guest: ready in ${target}`);
    return target;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

function digest(...parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

function findProgram(name, env) {
  const directories = [...(env.PATH ?? '').split(':').filter(Boolean), ...systemDirectories];
  const found = directories.map((directory) => path.join(directory, name)).find((file) => fs.existsSync(file));
  if (!found) throw new Error(`The lab's guest needs ${name}: install Debian's busybox-static and qemu-guest-agent, or run "npm run setup".`);
  return fs.realpathSync(found);
}

/** A guest of the same recipe and programs counts, whatever its kernel: a newer kernel in the archive is no reason to rebuild. */
function findBuilt(root, recipe) {
  if (!fs.existsSync(root)) return undefined;
  for (const name of fs.readdirSync(root).sort()) {
    try {
      if (!name.startsWith('.') && JSON.parse(fs.readFileSync(path.join(root, name, 'guest.json'), 'utf8')).recipe === recipe) return path.join(root, name);
    } catch {
      continue; // not one of ours, or half removed by hand: build beside it
    }
  }
  return undefined;
}

function dropDeadBuilds(root) {
  for (const name of fs.readdirSync(root)) {
    const pid = /^\.building-(\d+)-/.exec(name)?.[1];
    if (pid && !fs.existsSync(`/proc/${pid}`)) fs.rmSync(path.join(root, name), { recursive: true, force: true });
  }
}

function publish(from, target) {
  try {
    fs.renameSync(from, target);
  } catch (error) {
    if (!['EEXIST', 'ENOTEMPTY'].includes(error.code)) throw error; // else another set-up was first, with the same content
  }
}

function writeDurably(file, content) {
  const fd = fs.openSync(file, 'w', 0o644);
  try {
    fs.writeFileSync(fd, content);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function run(program, args, { env, cwd }) {
  return new Promise((resolve, reject) => {
    execFile(program, args, { env: { ...env, LC_ALL: 'C' }, cwd, timeout: 300_000, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${program} ${args.join(' ')} failed: ${(stderr || error.message).trim()}`));
      else resolve(stdout);
    });
  });
}

/** Downloads and unpacks the newest cloud kernel that apt knows; with lists of its own when the machine has none. */
async function fetchKernel(work, env) {
  let options = os.userInfo().uid === 0 ? ['-o', 'APT::Sandbox::User=root'] : privateAptOptions(work, false);
  let name = await newestKernel(options, env);
  if (!name) {
    options = privateAptOptions(work, true);
    await run('apt-get', [...options, 'update', '-q'], { env });
    name = await newestKernel(options, env);
  }
  if (!name) throw new Error(`apt knows no ${kernelMetapackage}: the lab's guest needs Debian's package archive (deb or mirror in /etc/apt).`);
  await run('apt-get', [...options, 'download', '-q', name], { env, cwd: work });
  const archive = fs.readdirSync(work).find((file) => file.startsWith(`${name}_`) && file.endsWith('.deb'));
  if (!archive) throw new Error(`apt-get download ${name} left no .deb file in ${work}.`);
  const version = (await run('dpkg-deb', ['-f', path.join(work, archive), 'Version'], { env })).trim();
  const unpacked = path.join(work, 'kernel');
  await run('dpkg-deb', ['-x', path.join(work, archive), unpacked], { env });
  const release = name.replace(/^linux-image-/, '');
  const modules = ['lib/modules', 'usr/lib/modules'].map((directory) => path.join(unpacked, directory, release)).find((directory) => fs.existsSync(directory));
  if (!modules) throw new Error(`${name} holds no modules for ${release}.`);
  return { release, version: `${name} ${version}`, image: path.join(unpacked, 'boot', `vmlinuz-${release}`), modulesDir: modules };
}

async function newestKernel(options, env) {
  const output = await run('apt-cache', [...options, 'depends', kernelMetapackage], { env }).catch(() => '');
  return /Depends: (linux-image-\S+cloud-amd64)/.exec(output)?.[1];
}

function privateAptOptions(work, ownLists) {
  const directory = path.join(work, 'apt');
  for (const part of ['lists/partial', 'archives/partial']) fs.mkdirSync(path.join(directory, part), { recursive: true });
  const lists = ownLists ? ['-o', `Dir::State::lists=${path.join(directory, 'lists')}`] : [];
  const user = os.userInfo().uid === 0 ? ['-o', 'APT::Sandbox::User=root'] : [];
  return [...lists, ...user, '-o', `Dir::Cache=${directory}`, '-o', 'Debug::NoLocking=true'];
}

/**
 * The ELF kernel inside a bzImage, so that QEMU can enter it directly (PVH): saves 1.3 s of decompression under TCG. The payload's
 * place is in the boot header (Documentation/x86/boot.rst). When its compression is unknown, the bzImage itself boots as well.
 */
function unpackKernel(image, env) {
  const setupSectors = image[0x1f1] || 4;
  const start = (setupSectors + 1) * 512 + image.readUInt32LE(0x248);
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c));
  const unpackers = [
    ['02214c18', 'lz4', ['-dc']],
    ['1f8b', 'gzip', ['-dc']],
    ['28b52ffd', 'zstd', ['-dcq']],
    ['fd377a58', 'xz', ['-dc', '--single-stream']],
  ];
  const [, program, args] = unpackers.find(([magic]) => payload.toString('hex', 0, magic.length / 2) === magic) ?? [];
  if (!program) return image;
  try {
    const output = execFileSync(program, args, { input: payload, env, maxBuffer: 1 << 29, stdio: ['pipe', 'pipe', 'ignore'] });
    return output.toString('latin1', 1, 4) === 'ELF' ? output : image;
  } catch (error) {
    // The four bytes after an lz4 or gzip payload are the kernel's own size field, which the tools report as an error after writing everything.
    return Buffer.isBuffer(error.stdout) && error.stdout.toString('latin1', 1, 4) === 'ELF' ? error.stdout : image;
  }
}

if (process.argv[1] && fs.existsSync(process.argv[1]) && fs.realpathSync(process.argv[1]) === self) {
  const cacheDir = process.argv[2];
  if (!cacheDir) throw new Error('usage: node dev/guest.mjs <cache directory>');
  console.log(await ensureGuest({ cacheDir, say: (line) => console.error(line) }));
}
