// One qemu-nbd process: started in a session of its own, so that it outlives whatever happens to the lab, as on a real host (vdsm makes it
// a systemd unit); found again by its pid file and its socket's path on its command line.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identify, killAndWait, waitUntilGone, type ProcessIdentity } from '../processes';
import { removeFile } from '../state-file';
import { ToolError } from '../tools';

const startLimitMs = 20_000;
const endLimitMs = 10_000;
/** imageio opens up to 8 connections per ticket, and an old ticket's may not be gone yet. */
const connections = '16';

export interface NbdServer {
  readonly socket: string;
  readonly exportName: string;
  /** Of the process's files: pid, messages. */
  readonly directory: string;
}

const pidFile = ({ directory }: NbdServer): string => path.join(directory, 'pid');

/** Resolves when it listens; a ToolError with what it wrote when it ended instead. `image`: a block driver's options. */
export async function startNbdServer(server: NbdServer, image: object, options: { readonly writable: boolean; readonly bitmap?: string }): Promise<void> {
  const messagesFile = path.join(server.directory, 'messages.log');
  const args = [
    ...['--persistent', '--shared', connections, '--socket', server.socket, '--export-name', server.exportName, '--pid-file', pidFile(server)],
    // Tells holes from zeroes, which imageio's `hole` and shallow transfers need.
    '--allocation-depth',
    ...(options.writable ? ['--discard=unmap', '--detect-zeroes=unmap'] : ['--read-only']),
    ...(options.bitmap === undefined ? [] : ['--bitmap', options.bitmap]),
    `json:${JSON.stringify(image)}`,
  ];
  await removeFile(server.socket);
  const messages = fs.openSync(messagesFile, 'w', 0o600);
  const child = spawn('qemu-nbd', args, { detached: true, cwd: '/', stdio: ['ignore', messages, messages] });
  fs.closeSync(messages);
  child.unref();
  const ended = new AbortController();
  child.once('exit', () => ended.abort()).once('error', () => ended.abort());
  // It writes its pid file a moment after it listens.
  for (const deadline = Date.now() + startLimitMs; !(await listens(server.socket)) || !(await findNbdServer(server)); ) {
    await sleep(5);
    if (!ended.signal.aborted && Date.now() < deadline) continue;
    const said = (await fs.promises.readFile(messagesFile, 'utf8')).trim();
    if (!ended.signal.aborted) child.kill('SIGKILL');
    throw new ToolError('qemu-nbd', said || `did not listen within ${startLimitMs / 1000} s`);
  }
}

/** undefined: it has ended. */
export async function findNbdServer(server: NbdServer): Promise<ProcessIdentity | undefined> {
  const pid = Number(await fs.promises.readFile(pidFile(server), 'utf8').catch(() => ''));
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const commandLine = await fs.promises.readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine.split('\0').includes(server.socket) ? identify(pid) : undefined;
}

/** Asked to end first, so that a written image's bitmaps are stored and not left in use. */
export async function endNbdServer(server: NbdServer): Promise<void> {
  const found = await findNbdServer(server);
  if (found) {
    process.kill(found.pid, 'SIGTERM');
    if (!(await waitUntilGone(found, endLimitMs))) await killAndWait(found);
  }
  await removeFile(server.socket);
}

function listens(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
