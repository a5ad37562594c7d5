// The lab's own faults, asked for over its control socket as anybody on the machine could, counted there, and taken away again.
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { faultSchema } from '../../lab/engine/injected/kinds';
import type { Stack } from '../e2e/support/stack';
import { ControlClient } from '../lab/engine/control-client';

export type LabFault = z.input<typeof faultSchema>;

const connectionSchema = z.object({ controlSocket: z.string() });

interface Injected {
  readonly fault: LabFault;
  readonly id: string;
  fired: number;
}

export class LabFaults {
  private isReleased = false;

  private constructor(
    private readonly control: ControlClient,
    private readonly injected: Injected[] = [],
  ) {}

  static async inject({ parts }: Stack, faults: readonly LabFault[]): Promise<LabFaults> {
    const { controlSocket } = connectionSchema.parse(JSON.parse(await readFile(parts.lab.connectionFile, 'utf8')));
    const control = new ControlClient(controlSocket);
    const injected = new LabFaults(control);
    for (const fault of faults) await injected.add(fault);
    return injected;
  }

  async add(fault: LabFault): Promise<void> {
    this.injected.push({ fault, id: await this.control.inject(fault), fired: 0 });
  }

  /** Counts for the last time and takes the faults away. */
  async release(): Promise<void> {
    if (this.isReleased) return;
    for (const each of this.injected) each.fired = await this.control.fired(each.id);
    for (const { id } of this.injected) await this.control.release(id);
    this.isReleased = true;
  }

  /** What the lab says did not happen. */
  unfired(): readonly string[] {
    return this.injected.filter(({ fired }) => fired === 0).map(({ fault }) => `the fault did not fire: the lab says ${fault.kind} never happened`);
  }

  told(): string {
    return this.injected.map(({ fault, fired }) => `lab: ${fault.kind}${fired > 1 ? `, ${fired} times` : ''}`).join('; ');
  }
}
