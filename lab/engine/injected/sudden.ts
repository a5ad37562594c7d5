// Faults that happen to the whole engine, a VM or a disk at one moment: when they are asked for, or right after a chosen call was
// carried out and before it is answered.
import { setTimeout as sleep } from 'node:timers/promises';
import { createSnapshot } from '../commands/create-snapshot';
import { needDisk, needVm, type Context } from '../context';
import { HttpFault } from '../faults';
import type { ActiveFault, Asked, InjectedFaults } from './injected-faults';
import type { Fault } from './kinds';
import {
  cancelForeignTransfer,
  foreignBackup,
  foreignDisk,
  foreignTransfer,
  forgetBitmapsOf,
  loseTickets,
  otherProduct,
  stopTransfers,
} from './sudden-backups';

export interface Engine {
  readonly context: Context;
  readonly sessions: { readonly expireAll: () => number };
  readonly restart: (downSeconds: number, forgetBackups?: boolean) => Promise<void>;
}

const backupKinds = [
  'bitmaps-forgotten',
  'lying-bitmap',
  'ticket-lost',
  'transfer-stopped',
  'foreign-transfer',
  'foreign-backup',
  'foreign-disk',
] as const;
const suddenKinds = ['token-expiry', 'qemu-killed', 'illegal-disk', 'foreign-snapshot', ...backupKinds, 'engine-restart'] as const;

/** Adds the fault; one that waits for no call happens before this returns, and is not kept when it cannot happen. */
export async function inject(faults: InjectedFaults, engine: Engine, fault: Fault): Promise<ActiveFault> {
  const active = faults.add(fault);
  const waits = ('call' in fault && fault.call !== undefined) || ('everyCalls' in fault && fault.everyCalls !== undefined);
  if (waits) return active;
  try {
    await strike(faults, engine, active, 'now');
  } catch (error) {
    faults.remove(active.id);
    throw error;
  }
  return active;
}

export function release(faults: InjectedFaults, { context }: Engine, id?: string): number {
  for (const { id: faultId } of faults.list()) {
    const transferId = id === undefined || id === faultId ? faults.noted(faultId) : undefined;
    if (transferId !== undefined) cancelForeignTransfer(context, transferId);
  }
  const count = faults.remove(id);
  context.volumes.forget();
  return count;
}

/** Before the engine looks at a call. */
export function beforeCall(faults: InjectedFaults, { sessions }: Engine): void {
  for (const active of faults.ofKind('token-expiry')) {
    if (active.fault.everyCalls === undefined || !faults.everyNth(active, active.fault.everyCalls)) continue;
    sessions.expireAll();
    faults.fire(active);
  }
}

/** After a call was carried out: whether its answer may still be sent. */
export async function afterCall(faults: InjectedFaults, engine: Engine, asked: Asked): Promise<'answer' | 'cut'> {
  const cut = faults.due('lost-reply', asked);
  for (const active of cut) faults.fire(active);
  const due = suddenKinds.flatMap((kind): ActiveFault[] => faults.due(kind, asked));
  for (const active of due) {
    // The call itself has succeeded, whatever becomes of the fault; one that could not happen shows that it never fired.
    await strike(faults, engine, active, 'after a call').catch((error: unknown) => {
      engine.context.log(`fault ${active.fault.kind} ${active.id}: ${String(error)}`);
    });
  }
  return cut.length > 0 || due.some(({ fault }) => fault.kind === 'engine-restart') ? 'cut' : 'answer';
}

async function strike(faults: InjectedFaults, engine: Engine, active: ActiveFault, when: 'now' | 'after a call'): Promise<void> {
  const { context } = engine;
  const { fault } = active;
  switch (fault.kind) {
    case 'token-expiry':
      engine.sessions.expireAll();
      faults.fire(active);
      return;
    case 'engine-restart':
      faults.fire(active);
      return engine.restart(fault.downSeconds, fault.forgetBackups);
    case 'qemu-killed':
      await context.host.killVm(needVm(context, fault.vmId).id);
      faults.fire(active);
      return;
    case 'illegal-disk':
      needDisk(context, fault.diskId);
      faults.fire(active);
      context.volumes.forget();
      return;
    case 'foreign-snapshot':
      return soon(context, active, when, () => foreignSnapshot(faults, context, active, fault));
    case 'bitmaps-forgotten':
      await forgetBitmapsOf(context, fault.vmId);
      faults.fire(active);
      return;
    case 'lying-bitmap':
      context.backups.lieAboutNextBitmap(needDisk(context, fault.diskId).id, fault.bytes);
      faults.fire(active);
      return;
    case 'ticket-lost':
      await loseTickets(context, fault);
      faults.fire(active);
      return;
    case 'transfer-stopped':
      await stopTransfers(context, fault);
      faults.fire(active);
      return;
    case 'foreign-transfer':
      return soon(context, active, when, async () => {
        faults.note(active.id, await foreignTransfer(context, fault));
        faults.fire(active);
      });
    case 'foreign-backup':
      return soon(context, active, when, async () => {
        await foreignBackup(context, fault);
        faults.fire(active);
      });
    case 'foreign-disk':
      return soon(context, active, when, async () => {
        await foreignDisk(context, fault);
        faults.fire(active);
      });
    // These change what a call or the host does; there is nothing to do now.
    case 'lost-reply':
    case 'server-error':
    case 'conflict':
    case 'slow-snapshot':
    case 'merge-failure':
    case 'stuck-unplug':
    case 'redefinition-failure':
    case 'scratch-full':
    case 'finalize-failure':
    case 'slow-finalize':
    case 'transfer-purged':
      return;
  }
}

async function foreignSnapshot(
  faults: InjectedFaults,
  context: Context,
  active: ActiveFault,
  { vmId, description }: { readonly vmId: string; readonly description: string },
): Promise<void> {
  const { settled } = await createSnapshot(context, { vmId, description, saveMemory: false }, otherProduct());
  faults.fire(active);
  await settled;
}

/** The call may hold the VM or the disk for long: the other product waits and tries again, as ours does. */
function soon(context: Context, active: ActiveFault, when: 'now' | 'after a call', act: () => Promise<void>): Promise<void> {
  if (when === 'now') return act();
  void context.background.run(active.fault.kind, () => insist(active, act));
  return Promise.resolve();
}

const retryMs = 200;

async function insist({ released }: ActiveFault, attempt: () => Promise<void>): Promise<void> {
  while (!released.aborted) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (!(error instanceof HttpFault) || error.status !== 409) throw error;
      await sleep(retryMs);
    }
  }
}
