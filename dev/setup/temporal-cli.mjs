// The Temporal dev server's binary: the one that is named, else the one on the PATH, else the cached one, else the
// SDK's own download, else built with Go. Never inside the checkout; cached by version.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Problem, checkout, onPath, run, withLock } from './shell.mjs';

/** The newest tag that `go install` accepts: later go.mod files have a `replace`. Server 1.29.1. */
export const temporalVersion = '1.5.1';
const oldestServer = [1, 28];

async function serverVersion(binary) {
  const text = await run(binary, ['--version']).catch(() => '');
  const match = /Server (\d+)\.(\d+)/.exec(text);
  return match ? { text: text.trim(), major: Number(match[1]), minor: Number(match[2]) } : undefined;
}

const isNewEnough = ({ major, minor }) => major > oldestServer[0] || (major === oldestServer[0] && minor >= oldestServer[1]);

async function named(binary) {
  const version = existsSync(binary) ? await serverVersion(binary) : undefined;
  if (!version) throw new Problem(`HOLDFAST_TEMPORAL_CLI names ${binary}, which is no Temporal CLI that runs here`, 'name one, or unset the variable');
  return binary;
}

async function fromPath(say) {
  const binary = onPath('temporal');
  const version = binary && await serverVersion(binary);
  if (!version) return undefined;
  if (isNewEnough(version)) return binary;
  say(`${binary} is too old (${version.text}; server ${oldestServer.join('.')} or newer is needed): looking further`);
  return undefined;
}

/** Lets the SDK download the version and start it once; it needs internet. */
const downloadScript = `
const { TestWorkflowEnvironment } = require('@temporalio/testing');
const executable = { type: 'cached-download', version: 'v' + process.argv[1], downloadDir: process.argv[2] };
TestWorkflowEnvironment.createLocal({ server: { executable, ui: false } }).then((env) => env.teardown()).then(() => process.exit(0), (error) => { console.error(String(error.message)); process.exit(1); });
`;

async function download(into) {
  await run(process.execPath, ['-e', downloadScript, temporalVersion, into], { cwd: checkout, name: "the SDK's download" });
  const [file] = readdirSync(into);
  if (!file) throw new Error('the SDK reported success, yet no file was downloaded');
  return join(into, file);
}

async function buildWithGo(into) {
  if (!onPath('go')) throw new Error('the command go is not on the PATH');
  await run('go', ['install', `github.com/temporalio/cli/cmd/temporal@v${temporalVersion}`], { cwd: into, env: { GOTOOLCHAIN: 'auto', ...process.env, GOBIN: into } });
  return join(into, 'temporal');
}

const ways = [
  { name: "the SDK's download", doing: `downloading the Temporal CLI ${temporalVersion} through the SDK`, make: download },
  { name: 'go install', doing: `building the Temporal CLI ${temporalVersion} with Go (a few minutes, once)`, make: buildWithGo },
];

async function fetchInto(finished, cacheDir, say) {
  const failures = [];
  for (const way of ways) {
    const into = mkdtempSync(join(cacheDir, 'temporal-new-'));
    try {
      say(way.doing);
      const made = await way.make(into);
      if (!await serverVersion(made)) throw new Error(`${made} does not run here`);
      mkdirSync(join(finished, '..'), { recursive: true });
      renameSync(made, finished);
      return way.name;
    } catch (error) {
      failures.push(`${way.name}: ${error.message}`);
      say(`that did not work: ${error.message.split('\n').join(' ').slice(0, 200)}`);
    } finally {
      rmSync(into, { recursive: true, force: true });
    }
  }
  throw new Problem(`no Temporal dev server could be had:\n${failures.join('\n')}`, 'give this machine internet, or Go 1.21 or newer (https://go.dev/dl), or install the Temporal CLI (https://docs.temporal.io/cli) and put it on the PATH or into HOLDFAST_TEMPORAL_CLI');
}

/** Returns { path, origin }: origin is what the set-up's summary says. */
export async function ensureTemporalCli({ cacheDir, say }) {
  if (process.env.HOLDFAST_TEMPORAL_CLI) return { path: await named(process.env.HOLDFAST_TEMPORAL_CLI), origin: 'HOLDFAST_TEMPORAL_CLI' };
  const found = await fromPath(say);
  if (found) return { path: found, origin: 'PATH' };
  const cached = join(cacheDir, `temporal-${temporalVersion}`, 'temporal');
  if (existsSync(cached)) return { path: cached, origin: 'cache' };
  let origin = 'cache';
  await withLock(join(cacheDir, 'locks', 'temporal'), say, async () => {
    if (!existsSync(cached)) origin = await fetchInto(cached, cacheDir, say);
  });
  return { path: cached, origin };
}
