// `npm test`: set-up, lint, type check, jest. With arguments (`npm test -- test/domain`) only jest runs, with them.
// Ends with jest's counts on a line of their own, which CI reads.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reportAndFail, setup, usualWants } from './setup.mjs';
import { checkout } from './setup/shell.mjs';

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

/** Both checks run to their end: a contributor sees everything at once. */
async function check(env) {
  const lint = await show('eslint', [bin('eslint/bin/eslint.js'), '.', '--max-warnings', '0'], env);
  const types = await show('tsc', [bin('typescript/bin/tsc'), '-p', 'tsconfig.json', '--noEmit'], env);
  return lint === 0 && types === 0;
}

export function countsLine({ numPassedTests, numFailedTests, numPendingTests, numTodoTests, numRuntimeErrorTestSuites }) {
  // A suite that could not run at all has no tests to count, and must not look like nothing happened.
  return `${numPassedTests} passed, ${numFailedTests + numRuntimeErrorTestSuites} failed, ${numPendingTests + numTodoTests} skipped`;
}

async function runJest(args, env) {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  const file = join(directory, 'results.json');
  try {
    const code = await show(`jest ${args.join(' ')}`.trimEnd(), [bin('jest/bin/jest.js'), '--json', `--outputFile=${file}`, '--testLocationInResults=false', ...args], env);
    // Jest writes nothing when it finds no test or cannot start: that is a failure too, and it has said why.
    const counts = existsSync(file) ? countsLine(JSON.parse(readFileSync(file, 'utf8'))) : '0 passed, 1 failed, 0 skipped';
    return { code, counts };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function main() {
  const args = process.argv.slice(2);
  const { env } = await setup({ want: [...usualWants, 'venv'] });
  const isClean = args.length > 0 || await check(env);
  const { code, counts } = await runJest(args, env);
  if (!isClean) console.log('eslint or tsc found problems: see above');
  console.log(counts);
  process.exitCode = code === 0 && isClean ? 0 : 1;
}

await main().catch(reportAndFail);
