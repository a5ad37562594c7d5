// Where one host keeps what needs a short path: sockets (at most 107 bytes) and the files over which QEMU mounts FUSE exports.
// The long, speaking paths (`vms/<vmId>/...`) point here. Private to the user, one directory per lab state.
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { removeFile } from './state-file';
import { runTool } from './tools';

const longestSocketPath = 107;
const short = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8);

/** Paths of one VM. `observe` is a second monitor for whoever wants to look from outside while the host holds the first. */
export interface VmSockets {
  readonly qmp: string;
  readonly observe: string;
  readonly agent: string;
  readonly nbd: string;
}

export class RunDirectory {
  readonly path: string;

  constructor(stateDir: string) {
    const name = `hf-lab-${short(path.resolve(stateDir))}`;
    const preferred = path.join(os.tmpdir(), name);
    this.path = preferred.length + '/transfer-12345678'.length <= longestSocketPath ? preferred : path.join('/tmp', name);
  }

  async create(): Promise<void> {
    await fs.mkdir(this.path, { recursive: true, mode: 0o700 });
    const found = await fs.lstat(this.path);
    if (!found.isDirectory() || found.uid !== os.userInfo().uid) throw new Error(`${this.path} belongs to somebody else; remove it or choose another TMPDIR`);
    await fs.chmod(this.path, 0o700);
  }

  sockets(vmId: string): VmSockets {
    const base = path.join(this.path, short(vmId));
    return { qmp: `${base}.q`, observe: `${base}.o`, agent: `${base}.a`, nbd: `${base}.n` };
  }

  /** The regular file that a FUSE export covers. */
  exportFile(vmId: string, diskId: string): string {
    return path.join(this.path, `${short(vmId)}.${short(diskId)}`);
  }

  /** A socket that belongs to no VM: `name` must be unlike the start of any VM's. */
  socket(name: string): string {
    return path.join(this.path, name);
  }

  /** Where the export of an image transfer listens. */
  transferSocket(transferId: string): string {
    return this.socket(`transfer-${short(transferId)}`);
  }

  /** Removes what an ended QEMU left: after SIGKILL its FUSE mounts stay, dead, and block their files. */
  async clean(vmId: string): Promise<void> {
    const prefix = `${short(vmId)}.`;
    for (const mountPoint of await mountsBelow(this.path)) if (path.basename(mountPoint).startsWith(prefix)) await unmountLazily(mountPoint);
    for (const name of await fs.readdir(this.path)) if (name.startsWith(prefix)) await removeFile(path.join(this.path, name));
  }

  async cleanExport(file: string): Promise<void> {
    if ((await mountsBelow(this.path)).includes(file)) await unmountLazily(file);
    await removeFile(file);
  }

  /** Removes the directory itself once nothing is in it. */
  async removeIfEmpty(): Promise<void> {
    await fs.rmdir(this.path).catch(() => undefined);
  }
}

export async function mountsBelow(directory: string): Promise<readonly string[]> {
  const lines = (await fs.readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  const unescape = (text: string): string => text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
  return lines.map((line) => unescape(line.split(' ')[4] ?? '')).filter((mountPoint) => mountPoint.startsWith(`${directory}/`));
}

async function unmountLazily(mountPoint: string): Promise<void> {
  try {
    await runTool('fusermount3', ['-u', '-z', mountPoint], { timeoutMs: 10_000 });
  } catch {
    await runTool('umount', ['-l', mountPoint], { timeoutMs: 10_000 });
  }
}
