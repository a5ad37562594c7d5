// Debian's Chromium, for the screenshots of Temporal's UI and nothing else: installed as root, otherwise unpacked into the user's cache like
// the other packages (debian-packages.mjs). HOLDFAST_CHROMIUM names another one.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureGroup, unpackedEnvironment } from './debian-packages.mjs';
import { Problem, onPath } from './shell.mjs';

/** Without any font at all Chromium does not start, and --no-install-recommends brings none. */
const browserPackages = { chromium: 'chromium', 'fonts-dejavu-core': undefined };

/** An unpacked fontconfig looks for its configuration and fonts at the system's places. */
function writeFontConfiguration(root, cacheDir) {
  const file = join(root, '..', 'fonts.conf');
  const directories = [join(root, 'usr', 'share', 'fonts'), '/usr/share/fonts'].map((directory) => `  <dir>${directory}</dir>\n`).join('');
  writeFileSync(file, `<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n<fontconfig>\n${directories}  <cachedir>${join(cacheDir, 'fontconfig')}</cachedir>\n</fontconfig>\n`);
  return file;
}

/** The program itself, not Debian's wrapper around it, which reads its settings from the system's places. */
const programIn = (root) => join(root, 'usr', 'lib', 'chromium', 'chromium');

/** @returns {Promise<{ path: string, env: object }>} the browser and the environment in which it finds its libraries and fonts */
export async function ensureBrowser({ cacheDir, say, isRoot = process.getuid() === 0, env = process.env }) {
  const named = env.HOLDFAST_CHROMIUM;
  if (named) {
    if (existsSync(named)) return { path: named, env };
    throw new Problem(`HOLDFAST_CHROMIUM names ${named}, which does not exist`, 'correct the variable or remove it');
  }
  mkdirSync(cacheDir, { recursive: true });
  const root = await ensureGroup(browserPackages, { cacheDir, say, isRoot });
  if (root && existsSync(programIn(root))) return { path: programIn(root), env: { ...unpackedEnvironment(root, env), FONTCONFIG_FILE: writeFontConfiguration(root, cacheDir) } };
  const path = onPath('chromium', env);
  if (!path) throw new Problem('there is no program chromium, although its package is installed', 'name one: HOLDFAST_CHROMIUM=/path/to/chromium');
  return { path, env };
}
