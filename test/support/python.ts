// The Python of the set-up's environment, with the packages that dev/setup/venv.mjs names; and programs run in it.
import { execFile } from 'node:child_process';
import path from 'node:path';

const checkout = path.resolve(__dirname, '../..');

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(program: string, args: readonly string[], timeoutMs: number): Promise<Ended> {
  return new Promise((done, fail) => {
    const child = execFile(program, args, { cwd: checkout, timeout: timeoutMs, maxBuffer: 16 * 2 ** 20 }, (error, out, err) => {
      // An exit code is the program's answer; everything else (not there, killed at the deadline) is not.
      if (error && child.exitCode === null) fail(new Error(`${program} ${args[0] ?? ''} gave no answer: ${error.message}\n${err}`));
      else done({ code: child.exitCode ?? 0, out, err });
    });
  });
}

/** `npm test` has made the environment and says where; a bare `npx jest` makes it here. */
export async function pythonOfSetup(): Promise<string> {
  const ready = process.env['HOLDFAST_SDK_PYTHON'];
  if (ready !== undefined) return ready;
  const script =
    "import { cacheDirectory } from './dev/setup/shell.mjs'; import { ensureVenv } from './dev/setup/venv.mjs'; console.log(await ensureVenv({ cacheDir: cacheDirectory(), say: () => {} }));";
  const { code, out, err } = await run(process.execPath, ['--input-type=module', '-e', script], 300_000);
  if (code !== 0) throw new Error(`the Python environment could not be made:\n${err}`);
  return out.trim();
}

export async function runPython(file: string, args: readonly string[], timeoutMs = 150_000): Promise<Ended> {
  return run(await pythonOfSetup(), [file, ...args], timeoutMs);
}
