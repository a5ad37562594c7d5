// Which faults are active, which of them are due, and how often each has fired. In memory: a killed lab comes back without any, an
// engine that the lab restarts keeps them. What a fault does is done by the one who asks here (http/server.ts, faulty-host.ts, sudden.ts).
import { randomUUID } from 'node:crypto';
import { isCall, type Fault, type FaultKind, type FaultOf } from './kinds';

export interface ActiveFault<Of extends Fault = Fault> {
  readonly id: string;
  readonly fault: Of;
  /** Aborted when the fault is taken away. */
  readonly released: AbortSignal;
}

interface Entry extends ActiveFault {
  readonly release: AbortController;
  /** Matching calls so far. */
  seen: number;
  fired: number;
  firstFiredMs: number | undefined;
}

export interface Asked {
  readonly method: string;
  readonly path: string;
}

export class InjectedFaults {
  private readonly entries = new Map<string, Entry>();
  private readonly notes = new Map<string, string>();
  /** Volumes that a failed merge left illegal, and by which fault. */
  private readonly illegalVolumes = new Map<string, string>();

  add(fault: Fault): ActiveFault {
    const release = new AbortController();
    const entry: Entry = { id: randomUUID(), fault, release, released: release.signal, seen: 0, fired: 0, firstFiredMs: undefined };
    this.entries.set(entry.id, entry);
    return entry;
  }

  list(): readonly (Fault & { readonly id: string; readonly fired: number })[] {
    return [...this.entries.values()].map(({ id, fault, fired }) => ({ id, ...fault, fired }));
  }

  /** Takes one away, or all; says how many there were. */
  remove(id?: string): number {
    const going = [...this.entries.values()].filter((entry) => id === undefined || entry.id === id);
    for (const entry of going) {
      this.entries.delete(entry.id);
      this.notes.delete(entry.id);
      for (const [volumeId, faultId] of this.illegalVolumes) if (faultId === entry.id) this.illegalVolumes.delete(volumeId);
      entry.release.abort();
    }
    return going.length;
  }

  /** Those of a kind that can still fire. */
  ofKind<Kind extends FaultKind>(kind: Kind): ActiveFault<FaultOf<Kind>>[] {
    return [...this.entries.values()].filter(
      (entry): entry is Entry & ActiveFault<FaultOf<Kind>> => entry.fault.kind === kind && !isSpent(entry),
    );
  }

  /** Counts the call for every fault of the kind that names it; returns those that it is time for. */
  due<Kind extends FaultKind>(kind: Kind, { method, path }: Asked): ActiveFault<FaultOf<Kind>>[] {
    return this.ofKind(kind).filter(({ id, fault }) => {
      const entry = this.entries.get(id);
      if (entry === undefined || !('call' in fault) || fault.call === undefined || !isCall(fault.call, method, path)) return false;
      entry.seen += 1;
      return entry.seen === fault.call.nth || (entry.seen > fault.call.nth && !once.includes(kind));
    });
  }

  /** Counts a call that may be any; true for every nth. */
  everyNth({ id }: ActiveFault, nth: number): boolean {
    const entry = this.entries.get(id);
    if (entry === undefined) return false;
    entry.seen += 1;
    return entry.seen % nth === 0;
  }

  /** What a fault left in the engine, to be taken away with it. */
  note(id: string, what: string): void {
    this.notes.set(id, what);
  }

  noted(id: string): string | undefined {
    return this.notes.get(id);
  }

  fire({ id }: ActiveFault): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    entry.fired += 1;
    entry.firstFiredMs ??= Date.now();
  }

  markIllegal({ id }: ActiveFault, volumeId: string): void {
    this.illegalVolumes.set(volumeId, id);
  }

  unmarkIllegal(volumeId: string): void {
    this.illegalVolumes.delete(volumeId);
  }

  isIllegal(volume: { readonly diskId: string; readonly volumeId: string }): boolean {
    return (
      this.illegalVolumes.has(volume.volumeId) ||
      [...this.entries.values()].some(({ fault, fired }) => fault.kind === 'illegal-disk' && fired > 0 && fault.diskId === volume.diskId)
    );
  }
}

/** These happen once, however often their call comes. */
const once: readonly FaultKind[] = [
  ...['token-expiry', 'engine-restart', 'qemu-killed', 'illegal-disk', 'foreign-snapshot'],
  ...['bitmaps-forgotten', 'lying-bitmap', 'ticket-lost', 'transfer-stopped', 'foreign-transfer', 'foreign-backup', 'foreign-disk'],
] as FaultKind[];

function isSpent({ fault, fired, firstFiredMs }: Entry): boolean {
  if (fault.kind === 'token-expiry' && fault.everyCalls !== undefined) return false;
  if (once.includes(fault.kind)) return fired > 0;
  const forSeconds = 'seconds' in fault ? fault.seconds : undefined;
  if (forSeconds !== undefined && firstFiredMs !== undefined && Date.now() - firstFiredMs > forSeconds * 1000) return true;
  // Without a count and without a time, a refusal comes once; what holds something holds until it is released.
  const refuses = fault.kind === 'server-error' || fault.kind === 'conflict';
  const times = 'times' in fault && fault.times !== undefined ? fault.times : refuses && forSeconds === undefined ? 1 : Infinity;
  return fired >= times;
}
