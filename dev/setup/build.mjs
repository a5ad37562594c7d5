// dist/: compiled when a source, a tsconfig or the lock file changed. Files that are not TypeScript (SQL migrations
// above all) are copied beside the compiled ones. Also `npm run build`. The compiler is the native one: it writes the same
// JavaScript in a third of the time. TypeScript 5 (`typescript`) stays installed for eslint, whose parser needs its API.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Problem, cacheDirectory, checkout, run, shortHash, withLock } from './shell.mjs';

const buildConfig = 'tsconfig.build.json';

function filesOf(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort();
}

const isSource = (file) => file.endsWith('.ts');
const isAsset = (file) => !isSource(file) && !file.endsWith('.md');

/** Size and time of every input: enough for a work tree, and a thousand times quicker than asking the compiler. */
function inputsHash(files) {
  const hash = createHash('sha256');
  for (const file of files) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${relative(checkout, file)} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/** What a deleted or renamed source left in dist/: the next program must not load it. */
function removeStale(dist, rooms, sources) {
  const wanted = new Set(sources.map((file) => relative(checkout, file).replace(/\.ts$/, '')));
  for (const file of rooms.flatMap((room) => filesOf(join(dist, room)))) {
    const output = relative(dist, file).replace(/(\.d\.ts|\.js)(\.map)?$/, '');
    if (/\.(js|d\.ts)(\.map)?$/.test(file) && !wanted.has(output)) rmSync(file);
  }
}

export async function ensureBuild({ cacheDir, say }) {
  const dist = join(checkout, 'dist');
  const stamp = join(dist, '.inputs');
  const rooms = JSON.parse(readFileSync(join(checkout, buildConfig), 'utf8')).include;
  const files = () => rooms.flatMap((room) => filesOf(join(checkout, room)));
  const current = () => inputsHash([...files(), join(checkout, buildConfig), join(checkout, 'tsconfig.json'), join(checkout, 'package-lock.json')]);
  const isFresh = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === current();
  if (isFresh()) return;
  await withLock(join(cacheDir, 'locks', `build-${shortHash(checkout)}`), say, async () => {
    if (isFresh()) return;
    say('compiling');
    const inputs = current();
    const all = files();
    removeStale(dist, rooms, all.filter(isSource));
    // Without a stamp dist/ is of unknown making: let the compiler write every file, not only what it believes changed.
    if (!existsSync(stamp)) rmSync(join(dist, '.tsbuildinfo'), { force: true });
    await run(process.execPath, [join(checkout, 'node_modules', 'typescript7', 'bin', 'tsc'), '-p', buildConfig]).catch((error) => {
      throw new Problem(`the sources do not compile: ${error.message}`, 'mend what the compiler names (npm run typecheck says the same)');
    });
    for (const file of all.filter(isAsset)) {
      const target = join(dist, relative(checkout, file));
      mkdirSync(dirname(target), { recursive: true });
      cpSync(file, target);
    }
    writeFileSync(stamp, inputs);
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  ensureBuild({ cacheDir: cacheDirectory(), say: (line) => console.log(line) }).catch((error) => { console.error(error.message); process.exitCode = 1; });
}
