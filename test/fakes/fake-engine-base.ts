// What every part of the fake engine stands on: its VMs, disks and events, and calls that are refused or lose their reply on demand.
import type { Engine, EngineEvent } from '../../adapters/ovirt/port';
import { HoldfastError, type FailureCode } from '../../domain/failures';
import { ovfOf } from '../domain/ovf-samples';
import { refuse, type FakeDisk, type FakeVm } from './fake-world';

export type Operation = Exclude<keyof Engine, 'name' | 'close'>;

export class FakeEngineBase {
  readonly name = 'lab';
  readonly vms = new Map<string, FakeVm>();
  readonly disks = new Map<string, FakeDisk>();
  readonly events: EngineEvent[] = [];
  /** Looks that a change takes. */
  looks = 1;
  /** Every request that changes something, in order. */
  readonly changes: Operation[] = [];
  private readonly plans: { readonly operation: Operation; readonly code: FailureCode; readonly lost: boolean }[] = [];

  /** The next call of the operation is carried out, but its reply never arrives. */
  loseReply(operation: Operation): void {
    this.plans.push({ operation, code: 'engine.unreachable', lost: true });
  }
  /** The next call of the operation is refused with this code. */
  refuseNext(operation: Operation, code: FailureCode): void {
    this.plans.push({ operation, code, lost: false });
  }
  countOf(operation: Operation): number {
    return this.changes.filter((each) => each === operation).length;
  }

  protected tell({ id: vmId }: FakeVm, code: number, description: string, correlationId?: string): void {
    this.events.push({ id: String(this.events.length), code, severity: 'normal', description, vmId, time: new Date().toISOString(), ...(correlationId === undefined ? {} : { correlationId }) });
  }
  protected ovfOf({ id, name, nics, deleteProtected, comment }: FakeVm, disks: readonly FakeDisk[]): string {
    const extraContent = `<Comment>${comment}</Comment><DeleteProtected>${String(deleteProtected)}</DeleteProtected>`;
    return ovfOf({ vmId: id, name, disks: disks.map(({ settings: { diskId, alias }, volume }) => ({ diskId, imageId: volume, alias })), nics, extraContent });
  }
  protected vmOf(vmId: string): FakeVm {
    return this.vms.get(vmId) ?? refuse('engine.not-found', `no VM ${vmId}`);
  }
  protected diskOf(diskId: string): FakeDisk {
    return this.disks.get(diskId) ?? refuse('engine.not-found', `no disk ${diskId}`);
  }
  protected read<Answer>(operation: Operation, answer: () => Answer): Promise<Answer> {
    return this.perform(operation, answer);
  }
  protected change<Answer>(operation: Operation, act: () => Answer | Promise<Answer>): Promise<Answer> {
    this.changes.push(operation);
    return this.perform(operation, act);
  }
  private async perform<Answer>(operation: Operation, act: () => Answer | Promise<Answer>): Promise<Answer> {
    const plan = this.plans.find((each) => each.operation === operation);
    if (plan) this.plans.splice(this.plans.indexOf(plan), 1);
    if (plan && !plan.lost) throw new HoldfastError(plan.code, `fake engine: ${operation} was told to fail`);
    const answer = await Promise.resolve().then(act);
    if (plan) throw new HoldfastError(plan.code, `fake engine: the reply to ${operation} was lost`);
    return answer;
  }
}
