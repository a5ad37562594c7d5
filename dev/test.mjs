// `npm test`: set-up, lint, type check, jest. With arguments (`npm test -- test/domain`) only jest runs, with them.
// Ends with jest's counts on a line of their own, which CI reads. Of the whole suite, what failed is tried once more, alone.
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { reportAndFail, setup, usualWants } from './setup.mjs';
import { checkout } from './setup/shell.mjs';
import { countsLine, failedSuites, replaced } from './suite-counts.mjs';

const bin = (name) => join(checkout, 'node_modules', name);

/** Shows the program's output as it comes; resolves to its exit code. */
function show(title, args, env) {
  console.log(`> ${title}`);
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, args, { cwd: checkout, env, stdio: 'inherit' });
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => child.kill(signal));
    child.once('error', fail);
    child.once('close', (code) => done(code ?? 1));
  });
}

/**
 * oxlint first, because it takes both cores by itself; then eslint and tsc at once. All run to their end: a contributor sees everything. What did not change since
 * the last run is not read again by these two; a fresh clone (CI) has no such memory, and `npm run lint` never uses it.
 */
async function check(env) {
  const typed = await show('oxlint', [bin('oxlint/bin/oxlint')], env);
  const memory = join(checkout, 'node_modules', '.cache');
  const lint = show('eslint', [bin('eslint/bin/eslint.js'), '.', '--max-warnings', '0', '--cache', '--cache-strategy', 'content', '--cache-location', join(memory, 'eslint')], env);
  const types = show('tsc', [bin('typescript7/bin/tsc'), '-p', 'tsconfig.json', '--noEmit', '--incremental', '--tsBuildInfoFile', join(memory, 'tsc.tsbuildinfo')], env);
  return [typed, ...(await Promise.all([lint, types]))].every((code) => code === 0);
}

async function runJest(args, env) {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  const file = join(directory, 'results.json');
  try {
    const code = await show(`jest ${args.join(' ')}`.trimEnd(), [bin('jest/bin/jest.js'), '--json', `--outputFile=${file}`, '--testLocationInResults=false', ...args], env);
    // Jest writes nothing when it finds no test or cannot start: that is a failure too, and it has said why.
    return { code, results: existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Rooms of which `npm test` takes a share: what stands on them runs every time. The lab as it is inside is a seventh of all CPU, the data path's parts
 * and the activities a tenth each. The official SDK's suites (test/lab/sdk) always run.
 */
const sharedRooms = [
  { rooms: ['test/lab/host', 'test/lab/engine'], oneOf: 3, whole: 'npm run test:lab' },
  { rooms: ['test/adapters/blocks', 'test/adapters/imageio', 'test/adapters/repository', 'test/activities'], oneOf: 2, whole: 'npm test -- test/adapters test/activities' },
];

/** Of each two or three neighbours one runs. */
function leftOutSuites(seed) {
  return sharedRooms.flatMap(({ rooms, oneOf, whole }) => {
    const suites = rooms.flatMap((room) => readdirSync(join(checkout, room)).filter((name) => name.endsWith('.test.ts')).sort().map((name) => `${room}/${name}`));
    const leftOut = suites.filter((_name, index) => index % oneOf !== seed % oneOf);
    console.log(`Left out by the seed ${seed}: ${leftOut.join(' ')} (all of them: ${whole})`);
    return leftOut;
  });
}

/** More than this is no noise. */
const mostSuitesTriedAgain = 8;

/**
 * Two noisy cores carry everything that a suite starts. A suite that failed beside others is tried once more alone: red again is red, and
 * green is told, because a test that minds its neighbours is to be mended too.
 */
async function runWhole(env) {
  const leftOut = env.HOLDFAST_TESTS === 'share' ? leftOutSuites(Number(env.HOLDFAST_TEST_SEED)) : [];
  const first = await runJest(leftOut.map((suite) => `--testPathIgnorePatterns=/${suite}$`), env);
  const suites = failedSuites(first.results);
  if (first.code === 0 || suites.length === 0 || suites.length > mostSuitesTriedAgain) return { ...first, told: [] };
  console.log('Tried again, alone:');
  const second = await runJest(['--runInBand', '--runTestsByPath', ...suites], env);
  if (second.results === undefined) return { ...first, told: [] };
  const stillFailing = new Set(failedSuites(second.results));
  const told = suites.map((suite) => `${relative(checkout, suite)} failed beside other suites and ${stillFailing.has(suite) ? 'fails alone, too' : 'passed alone: mend it'}`);
  return { code: second.code, results: replaced(first.results, second.results, suites), told };
}

async function main() {
  const args = process.argv.slice(2);
  const brought = await setup({ want: [...usualWants, 'venv'] });
  // One for all suites, and for those that are tried again: another share would be another test.
  const env = { HOLDFAST_TEST_SEED: String(randomInt(1_000_000)), ...brought.env };
  const isEverything = args.length === 0;
  const isClean = !isEverything || await check(env);
  const { code, results, told } = isEverything ? await runWhole({ HOLDFAST_TESTS: 'share', ...env }) : { ...(await runJest(args, env)), told: [] };
  if (!isClean) console.log('oxlint, eslint or tsc found problems: see above');
  for (const line of told) console.log(line);
  console.log(results === undefined ? '0 passed, 1 failed, 0 skipped' : countsLine(results));
  process.exitCode = code === 0 && isClean ? 0 : 1;
}

await main().catch(reportAndFail);
