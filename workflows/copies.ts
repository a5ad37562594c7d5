// The copies of one run: each waits for its turn, runs, is stopped and begun again by pause, resume and a new bandwidth, and gives its slot back.
// A slot is no undo on the stack: nothing in the engine is held by it, closing the run gives it back too, and of a run that was terminated others
// see that it is over.
import { CancellationScope, condition, uuid4 } from '@temporalio/workflow';
import type { CopyLimitKind } from '../domain/copy-slots';
import type { DiskProgress } from '../domain/flows/progress';
import type { RunSettings } from '../domain/flows/settings';
import { failureText, wasCancelled } from './failures';
import type { Proxies } from './proxies';

/** The disk that is copied, and the storage domain that it is read from or written to. */
export interface CopyOf {
  readonly diskId: string;
  readonly storageDomainId?: string | undefined;
}

interface CopyOfRun extends CopyOf {
  readonly engine: string;
  readonly runId: string;
  readonly proxies: Proxies;
  readonly settings: RunSettings;
}

/** The run, as its copies see it. */
interface Host {
  isPaused(): boolean;
  bandwidthBytesPerSecond(): number | undefined;
  setDisk(diskId: string, change: Partial<DiskProgress>): void;
  warn(warning: string): void;
}

/** `waiting`: for a turn, which a new bandwidth does not concern. */
type Stage = 'waiting' | 'copying';

export class Copies {
  private readonly scopes = new Map<CancellationScope, Stage>();
  private readonly stopped = new WeakSet<CancellationScope>();

  constructor(private readonly host: Host) {}

  /** A stopped copy's attempt is cancelled, the next goes on at the durable position. A pause gives the slot back, a new bandwidth keeps it. */
  async copy<T>(of: CopyOfRun, work: (bandwidthBytesPerSecond: number | undefined) => Promise<T>): Promise<T> {
    const { host } = this;
    for (;;) {
      await condition(() => !host.isPaused());
      const slot = slotOf(of);
      try {
        const taken = await this.unlessStopped('waiting', () => take(of, slot, (waitingFor) => host.setDisk(of.diskId, { state: 'waiting', waitingFor })));
        if (taken) host.setDisk(of.diskId, { waitingFor: null });
        while (taken && !host.isPaused()) {
          const done = await this.unlessStopped('copying', () => work(host.bandwidthBytesPerSecond()));
          if (done) return done.value;
        }
      } finally {
        host.setDisk(of.diskId, { waitingFor: null });
        await this.giveBack(of, slot);
      }
    }
  }

  stop(...stages: readonly Stage[]): void {
    for (const [scope, stage] of this.scopes) {
      if (!stages.includes(stage)) continue;
      this.stopped.add(scope);
      scope.cancel();
    }
  }

  /** Undefined when it was stopped, which is no failure; a cancel of the run passes through. */
  private async unlessStopped<T>(stage: Stage, work: () => Promise<T>): Promise<{ readonly value: T } | undefined> {
    const scope = new CancellationScope();
    this.scopes.set(scope, stage);
    try {
      return { value: await scope.run(work) };
    } catch (error) {
      if (!wasCancelled(error) || !this.stopped.has(scope)) throw error;
      return undefined;
    } finally {
      this.scopes.delete(scope);
    }
  }

  private async giveBack({ diskId, proxies }: CopyOfRun, slot: Slot): Promise<void> {
    try {
      await CancellationScope.nonCancellable(() => proxies.undo.giveBackCopySlot(slot));
    } catch (error) {
      this.host.warn(`the copy slot of disk ${diskId} is given back only when the run is closed: ${failureText(error)}`);
    }
  }
}

type Slot = ReturnType<typeof slotOf>;

/** A fresh id every time: what was given back is never taken again. */
function slotOf({ engine, runId, diskId, storageDomainId }: CopyOfRun) {
  return { engine, runId, slotId: uuid4(), diskId, storageDomainId };
}

/** Waits for its turn; `tell` hears for which limit, and again when it becomes another one. */
async function take({ proxies, settings }: CopyOfRun, slot: Slot, tell: (waitingFor: string) => void): Promise<void> {
  const endsAtMs = Date.now() + settings.deadlines.queueSeconds * 1000;
  for (let toldLimit: CopyLimitKind | undefined; ; ) {
    const leftSeconds = Math.max(1, Math.ceil((endsAtMs - Date.now()) / 1000));
    const answer = await proxies.waiting(leftSeconds).takeCopySlot({ ...slot, toldLimit });
    if (answer.granted) return;
    toldLimit = answer.limit;
    tell(answer.waitingFor);
  }
}
