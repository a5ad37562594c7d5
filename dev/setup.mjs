// Set-up (`npm run setup`, and first in `npm start` and `npm test`): brings what the project needs onto this machine.
// Plain Node without npm packages. Each step is quick when there is nothing to do, and speaks only when it does something.
import { mkdirSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { ensureBrowser } from './setup/browser.mjs';
import { ensureBuild } from './setup/build.mjs';
import { ensureDebianPackages } from './setup/debian-packages.mjs';
import { ensureNpmPackages } from './setup/npm-packages.mjs';
import { checkRequirements, pythonProblems } from './setup/requirements.mjs';
import { cacheDirectory } from './setup/shell.mjs';
import { ensureTemporalCli } from './setup/temporal-cli.mjs';
import { ensureVenv } from './setup/venv.mjs';

/** Everything but the browser, which only screenshots need. `imageio` is a wish: see below. */
export const usualWants = ['npm', 'debian', 'temporal', 'guest', 'build', 'imageio'];

/**
 * The lab's data daemon, by which image transfers go, is the real one: a Python program. `venv` demands its environment (tests);
 * `imageio` takes it where Python and a compiler are there, and otherwise says that the lab has no image transfers: all the rest works.
 *
 * @param {{ want?: string[], say?: (line: string) => void }} options steps: npm, debian, temporal, guest, build, imageio, venv, browser
 * @returns {Promise<{ cacheDir: string, env: object, temporalCli?: string, guestDir?: string, venvPython?: string,
 *   browser?: { path: string, env: object }, secondsByStep: object }>}
 *   `env` is the environment for every child: it finds what the set-up brought.
 */
export async function setup({ want = usualWants, say = (line) => console.log(line) } = {}) {
  const wants = new Set(want);
  const cacheDir = cacheDirectory();
  const secondsByStep = {};
  const step = async (name, work, isWanted = wants.has(name)) => {
    if (!isWanted) return undefined;
    const startedAt = performance.now();
    const result = await work();
    secondsByStep[name] = Math.round((performance.now() - startedAt) / 100) / 10;
    return result;
  };
  mkdirSync(cacheDir, { recursive: true });
  const isRoot = process.getuid() === 0;
  await checkRequirements({ python: wants.has('venv') && !isRoot });
  const wantsVenv = wants.has('venv') || (wants.has('imageio') && await canHavePython({ isRoot, say }));
  await step('npm', () => ensureNpmPackages({ cacheDir, say }));
  const env = await step('debian', () => ensureDebianPackages({ cacheDir, say, venv: wantsVenv })) ?? process.env;
  const temporal = await step('temporal', () => ensureTemporalCli({ cacheDir, say }));
  const guestDir = await step('guest', async () => (await import('./guest.mjs')).ensureGuest({ cacheDir, say, qemuEnv: env }));
  await step('build', () => ensureBuild({ cacheDir, say }));
  const venvPython = await step('venv', () => venv({ cacheDir, say, env, isDemanded: wants.has('venv') }), wantsVenv);
  const browser = await step('browser', () => ensureBrowser({ cacheDir, say }));
  return {
    cacheDir,
    secondsByStep,
    ...(temporal && { temporalCli: temporal.path, temporalOrigin: temporal.origin }),
    ...(guestDir && { guestDir }),
    ...(venvPython && { venvPython }),
    ...(browser && { browser }),
    env: {
      ...env,
      HOLDFAST_CACHE: cacheDir,
      ...(temporal && { HOLDFAST_TEMPORAL_CLI: temporal.path }),
      ...(guestDir && { HOLDFAST_GUEST: guestDir }),
      ...(venvPython && { HOLDFAST_SDK_PYTHON: venvPython }),
    },
  };
}

const withoutTransfers = (say, why) => say(`the lab will have no VM backups and no image transfers (method transfer), because ${why}`);

/** Root can give itself what is missing. */
async function canHavePython({ isRoot, say }) {
  const missing = isRoot ? [] : await pythonProblems();
  if (missing.length > 0) withoutTransfers(say, `this machine lacks:\n${missing.map((line) => `  - ${line}`).join('\n')}`);
  return missing.length === 0;
}

async function venv({ cacheDir, say, env, isDemanded }) {
  try {
    await checkRequirements({ python: true });
    return await ensureVenv({ cacheDir, say, env });
  } catch (error) {
    if (isDemanded) throw error;
    withoutTransfers(say, `its Python environment could not be made: ${error.message}`);
    return undefined;
  }
}

/** Ends the program the way every command here ends on a failure: one clear message, exit code 1. */
export function reportAndFail(error) {
  console.error(error.name === 'Problem' ? error.message : error.stack ?? String(error));
  process.exitCode = 1;
}

async function main() {
  const want = process.argv.includes('--venv') ? [...usualWants, 'venv'] : usualWants;
  const { cacheDir, temporalCli, temporalOrigin, secondsByStep } = await setup({ want });
  const times = Object.entries(secondsByStep).map(([name, seconds]) => `${name} ${seconds} s`).join(', ');
  console.log(`Set up (${times}).\nTemporal: ${temporalCli} (from: ${temporalOrigin}). Cache: ${cacheDir}.`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main().catch(reportAndFail);
