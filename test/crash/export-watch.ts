// What the host's own servers (a qemu-nbd for each image transfer) have read of disks and written to them, by the kernel's account: looked at
// while they live, for a server is gone with its transfer. Between the last look and its end it is not seen.
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ioOf, type Counter, type Io } from './copy-tools';
import type { Lane } from './lane';
import { idsOf } from './steps';

const everyMs = 50;

interface Served extends Io {
  readonly commandLine: string;
}

export class ExportWatch implements Counter {
  private readonly servers = new Map<string, Served>();
  private readonly over = new AbortController();

  private constructor(
    private readonly directory: string,
    private readonly figure: keyof Io,
  ) {}

  static begin({ stack }: Lane, figure: keyof Io): ExportWatch {
    const watch = new ExportWatch(path.join(stack.labState, 'exports'), figure);
    void watch.goOn();
    return watch;
  }

  /** Of the run's disks, over all their transfers. */
  async moved(lane: Lane, { workflowId }: { readonly workflowId: string }): Promise<number> {
    return this.of(await idsOf(lane.client, workflowId)).reduce((sum, server) => sum + server[this.figure], 0);
  }

  /** Of these disks: one for each transfer. */
  of(diskIds: readonly string[]): readonly Served[] {
    return [...this.servers.values()].filter(({ commandLine }) => diskIds.some((id) => commandLine.includes(`/images/${id}/`)));
  }

  end(): void {
    this.over.abort();
  }

  private async goOn(): Promise<void> {
    while (!this.over.signal.aborted) {
      for (const transferId of await readdir(this.directory).catch(() => [])) await this.look(transferId).catch(() => undefined);
      await sleep(everyMs, undefined, { ref: false });
    }
  }

  /** Rejects when there is no such server any more. */
  private async look(transferId: string): Promise<void> {
    const pid = Number((await readFile(path.join(this.directory, transferId, 'pid'), 'utf8')).trim());
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    const io = await ioOf(pid);
    if (Number.isFinite(io[this.figure])) this.servers.set(`${transferId} ${pid}`, { commandLine, ...io });
  }
}
