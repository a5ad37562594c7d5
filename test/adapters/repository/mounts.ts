// A small file system of our own without being root: a tmpfs in a user and mount namespace, reached through /proc/<pid>/root.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';

export interface Mount {
  readonly path: string;
  end(): void;
}

/** undefined, with the reason printed, where namespaces are not allowed. */
export async function mountTmpfs(parent: string, options: string): Promise<Mount | undefined> {
  const directory = mkdtempSync(join(parent, 'mount-'));
  const script = 'mount -t tmpfs -o "$1" tmpfs "$0" && echo ready && exec sleep 600';
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'unshare', '-Urm', 'sh', '-c', script, directory, options], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = await new Promise<string>((resolve) => {
    child.stdout.once('data', (data: Buffer) => resolve(data.toString().trim()));
    child.stderr.once('data', (data: Buffer) => resolve(data.toString().trim()));
    child.once('error', (error) => resolve(error.message));
  });
  if (said !== 'ready' || child.pid === undefined) {
    console.warn(`Not tested on a file system of its own (${options}): ${said}`);
    child.kill('SIGKILL');
    return undefined;
  }
  return {
    path: `/proc/${child.pid}/root${directory}`,
    end: () => {
      child.kill('SIGKILL');
    },
  };
}
