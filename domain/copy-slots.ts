// Copy slots: how many copies may run at once in an engine and on one of its storage domains, and whose turn it is. Pure: who asked, in the
// order of asking, in; who may copy and what the others wait for out. The catalog keeps the slots, a worker's own limit is Temporal's.

export interface CopyLimits {
  /** In the whole engine. */
  readonly copiesAtOnce: number;
  /** On each storage domain that is not listed below. */
  readonly copiesAtOncePerStorageDomain: number;
  /** By id of the storage domain. */
  readonly ofStorageDomain: Readonly<Record<string, number>>;
}

export interface SlotRequest {
  readonly slotId: string;
  /** Where the copy reads or writes; null when nobody knows: then only the engine's limit counts. */
  readonly storageDomainId: string | null;
  readonly state: 'waiting' | 'held';
}

export const copyLimitKinds = ['engine', 'storage-domain'] as const;
export type CopyLimitKind = (typeof copyLimitKinds)[number];

/** `granted`: may copy from now on. `waits`: for which limit, and behind how many that wait for the same one. */
export type SlotVerdict = { readonly granted: true } | { readonly granted: false; readonly limit: CopyLimitKind; readonly ahead: number };

export function limitOfDomain(limits: CopyLimits, storageDomainId: string): number {
  return limits.ofStorageDomain[storageDomainId] ?? limits.copiesAtOncePerStorageDomain;
}

/**
 * First come, first served, with one exception: who waits for a full storage domain holds nobody up on another. Nobody starves by that: a copy
 * that ends makes room in its domain and in the engine at once, and the oldest who can use it is looked at first.
 */
export function judgeSlots(requests: readonly SlotRequest[], limits: CopyLimits): ReadonlyMap<string, SlotVerdict> {
  const inDomain = new Map<string, number>();
  let inEngine = 0;
  const occupy = ({ storageDomainId }: SlotRequest): void => {
    inEngine += 1;
    if (storageDomainId !== null) inDomain.set(storageDomainId, (inDomain.get(storageDomainId) ?? 0) + 1);
  };
  const isFull = ({ storageDomainId }: SlotRequest): boolean => storageDomainId !== null && (inDomain.get(storageDomainId) ?? 0) >= limitOfDomain(limits, storageDomainId);

  const verdicts = new Map<string, SlotVerdict>();
  const ahead = new Map<string, number>();
  for (const request of requests.filter(({ state }) => state === 'held')) {
    occupy(request);
    verdicts.set(request.slotId, { granted: true });
  }
  for (const request of requests.filter(({ state }) => state === 'waiting')) {
    const limit: CopyLimitKind | undefined = isFull(request) ? 'storage-domain' : inEngine >= limits.copiesAtOnce ? 'engine' : undefined;
    if (limit === undefined) {
      occupy(request);
      verdicts.set(request.slotId, { granted: true });
      continue;
    }
    const line = limit === 'engine' ? limit : (request.storageDomainId ?? limit);
    verdicts.set(request.slotId, { granted: false, limit, ahead: ahead.get(line) ?? 0 });
    ahead.set(line, (ahead.get(line) ?? 0) + 1);
  }
  return verdicts;
}

const firstDelayMs = 2_000;
const delayPerPlaceMs = 250;
const longestDelayMs = 10_000;

/** Who stands far back in the line asks less often: a hundred waiting disks are not a hundred questions every two seconds. */
export function nextLookMs(ahead: number): number {
  return Math.min(longestDelayMs, firstDelayMs + ahead * delayPerPlaceMs);
}
