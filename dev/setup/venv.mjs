// A Python environment in the cache, made when something asks for it; keyed by what is in it and by the interpreter,
// so that a changed pin or a new Python gets a new one and nothing is ever changed in place.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, shortHash, withLock } from './shell.mjs';

/** temporalio and jsonschema: a client in another language, which has only the published schemas. The SDK: the official oVirt client. imageio: the host's real data daemon. */
export const venvPackages = ['temporalio==1.35.0', 'jsonschema==4.26.0', 'ovirt-engine-sdk-python==4.6.3', 'ovirt-imageio==2.5.1'];

/** Returns the path of the venv's python3. */
export async function ensureVenv({ cacheDir, say, env = process.env, packages = venvPackages }) {
  const interpreter = (await run('python3', ['-c', 'import sys; print(sys.executable, sys.version)'], { env })).trim();
  const directory = join(cacheDir, 'venv', shortHash(interpreter, ...packages));
  const python = join(directory, 'bin', 'python3');
  // A venv knows its own path and cannot be renamed into place: a last written file says that it is whole.
  const whole = join(directory, 'whole');
  if (existsSync(whole)) return python;
  await withLock(join(cacheDir, 'locks', 'venv'), say, async () => {
    if (existsSync(whole)) return;
    say(`making a Python environment: ${packages.join(' ')}`);
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    await run('python3', ['-m', 'venv', directory], { env });
    await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages], { env });
    writeFileSync(whole, `${packages.join('\n')}\n`);
  });
  return python;
}
