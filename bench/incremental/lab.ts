// The lab as the benchmark sees it: dev/bench/lab-vm.mjs speaks to it, in a process of its own and outside of any time that is measured.
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import { runCommand } from '../measure/processes';
import type { Workplace } from '../measure/workplace';

export interface LabPlace {
  readonly connection: string;
  /** The lab's state directory. */
  readonly state: string;
}

const vmSchema = z.object({ vmId: z.string(), diskId: z.string() });
export type BenchVm = z.infer<typeof vmSchema>;
const bytesSchema = z.object({ bytes: z.number() });
const transfersSchema = z.object({ transfers: z.array(bytesSchema.extend({ id: z.string() })) });

export class Lab {
  /** Transfers that were counted already. */
  private readonly counted = new Set<string>();

  constructor(private readonly place: Workplace, private readonly lab: LabPlace, private readonly env: NodeJS.ProcessEnv) {}

  /** Up; removed at the end. `content`: a raw image with a file system that the guest mounts. */
  async makeVm(name: string, bytes: number, content?: string): Promise<BenchVm> {
    const vm = vmSchema.parse(await this.ask('make', { name, bytes, ...(content === undefined ? {} : { content }) }));
    this.place.atEnd(() => this.ask('remove', { vm: vm.vmId }, new AbortController().signal));
    return vm;
  }

  /** The guest writes a new file. */
  async change({ vmId }: BenchVm, bytes: number): Promise<void> {
    await this.ask('change', { vm: vmId, bytes, name: `changed-${randomUUID()}` });
  }

  /** What the host lists as changed, of the transfer that is open or about to be. */
  async dirtyBytes({ diskId }: BenchVm): Promise<number> {
    return bytesSchema.parse(await this.ask('dirty', { disk: diskId })).bytes;
  }

  /** What tickets count as read in transfers that have ended since the last time. */
  async readBytes({ diskId }: BenchVm): Promise<number> {
    const fresh = transfersSchema.parse(await this.ask('transferred', { disk: diskId })).transfers.filter(({ id }) => !this.counted.has(id));
    for (const { id } of fresh) this.counted.add(id);
    return fresh.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  private async ask(what: string, values: Readonly<Record<string, string | number>>, signal = this.place.signal): Promise<unknown> {
    const program = path.resolve(__dirname, '../../../dev/bench/lab-vm.mjs');
    const options = Object.entries({ ...values, connection: this.lab.connection, state: this.lab.state }).map(([name, value]) => `--${name}=${value}`);
    return JSON.parse(await runCommand([process.execPath, program, what, ...options], { signal, env: this.env }));
  }
}
