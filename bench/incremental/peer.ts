// The peer: `virtnbdbackup -l full` and `-l inc` on domains of a libvirtd of our own, with the same content, as much changed by QEMU itself.
import { randomInt } from 'node:crypto';
import { copyFile, mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { flushAll } from '../copy/disk';
import { libvirtUri, startLibvirt, type Libvirt } from '../measure/libvirt';
import { measureCommands, runCommand } from '../measure/processes';
import type { Workplace } from '../measure/workplace';
import type { Job, PeerRun } from './report';

const domains = { data: 'bench-data', empty: 'bench-empty' } as const;
const stretchBytes = 4 * 1024 ** 2;

export class Peer {
  private constructor(private readonly place: Workplace, private readonly libvirt: Libvirt, private readonly virtualBytes: number) {}

  static async start(place: Workplace, qcow2: string, virtualBytes: number, env: NodeJS.ProcessEnv): Promise<Peer> {
    const libvirt = await startLibvirt(place, env);
    await libvirt.startDomain(domains.data, await libvirt.theirs('data.qcow2', (file) => copyFile(qcow2, file)));
    await libvirt.startDomain(domains.empty, await libvirt.theirs('empty.qcow2', (file) => runCommand(['qemu-img', 'create', '-q', '-f', 'qcow2', file, String(virtualBytes)], { signal: place.signal, env })));
    await libvirt.theirs('scratch', (directory) => mkdir(directory));
    return new Peer(place, libvirt, virtualBytes);
  }

  async round(changedBytes: number): Promise<Readonly<Record<Job, PeerRun>>> {
    const full = await this.backUp(domains.data, 'full');
    await this.change(changedBytes);
    const incremental = await this.backUp(domains.data, 'inc');
    // Stretches may fall on each other, now and then.
    if (incremental.imageBytes < changedBytes / 2) throw new Error(`virtnbdbackup stored ${incremental.imageBytes} bytes of ${changedBytes} that were changed: its figures would mean nothing`);
    const empty = await this.backUp(domains.empty, 'full');
    for (const domain of Object.values(domains)) await rm(this.outputOf(domain), { recursive: true, force: true });
    return { full, incremental, empty };
  }

  private outputOf(domain: string): string {
    return path.join(this.libvirt.directory, `output-${domain}`);
  }

  private async backUp(domain: string, level: 'full' | 'inc'): Promise<PeerRun> {
    const { as, env, directory } = this.libvirt;
    const output = this.outputOf(domain);
    const before = await bytesIn(output);
    const command = [...as, 'virtnbdbackup', '-U', libvirtUri, '-d', domain, '-l', level, '-o', output, '-f', path.join(directory, 'backup.sock'), '--scratchdir', path.join(directory, 'scratch')];
    const { seconds } = await measureCommands([command], { signal: this.place.signal, env }, () => flushAll(output));
    return { seconds, imageBytes: (await bytesIn(output)) - before };
  }

  /** In stretches at random places, which no guest is there to write: through its device, which owns the image. The monitor has words for failures only. */
  private async change(bytes: number): Promise<void> {
    const places = this.virtualBytes / stretchBytes;
    for (let left = bytes; left > 0; left -= stretchBytes) {
      const size = Math.min(left, stretchBytes);
      const told = await this.libvirt.virsh('qemu-monitor-command', domains.data, '--hmp', `qemu-io -d scsi0-0-0-0 "write -P ${randomInt(1, 255)} ${randomInt(places) * stretchBytes} ${size}"`);
      if (told.trim() !== '') throw new Error(`QEMU did not change the disk of domain ${domains.data}: ${told.trim()}`);
    }
  }
}

async function bytesIn(directory: string): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) if (entry.isFile()) bytes += (await stat(path.join(entry.parentPath, entry.name))).size;
  return bytes;
}
