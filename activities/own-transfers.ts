// Which image transfers in the engine are ours? They carry no mark, and the engine names nothing but their disk. Ours are those whose ids our
// holdings name; and after a lost reply those of the disk that may lie idle as long as ours may (domain/ids), and of which the engine tells in event
// 1031, under our key as its correlation id, that our request was carried out. One that is still `initializing` needs no event: it comes when the
// request is over, and never where the engine died in it. Other products' transfers are never touched.
import type { Catalog } from '../adapters/catalog/port';
import type { Engine, ImageTransfer, TransferPhase } from '../adapters/ovirt/port';
import type { Holding } from '../domain/holdings';
import { readTransferMark, transferIdleSeconds, transferMark } from '../domain/ids';
import type { ControlDependencies } from './dependencies';
import { gone, waitFor } from './waiting';

export interface Outside {
  readonly engine: Engine;
  readonly catalog: Catalog;
}

export interface TransfersOutside extends Outside {
  /** As configured. */
  readonly inactivityTimeoutSeconds: number;
}

export function transfersOutside({ engineOf, catalog, imageioOf }: ControlDependencies, engine: string): TransfersOutside {
  return { engine: engineOf(engine), catalog, inactivityTimeoutSeconds: imageioOf(engine).inactivityTimeoutSeconds };
}

/** One request of ours. */
export interface OwnRequest {
  readonly runId: string;
  readonly diskId: string;
  readonly transferKey: string;
}

const initiated = 1031;

/** `finished_cleanup` is passed on the way to `finished_failure`. */
export function isFinished(phase: TransferPhase): boolean {
  return phase === 'finished_success' || phase === 'finished_failure';
}

export interface OwnTransfers {
  /** The engine says that it carried out a request of this key. */
  readonly wasBegun: boolean;
  /** The one that the holding names; undefined when the engine has forgotten it, or none is named. */
  readonly known: ImageTransfer | undefined;
  readonly knownId: string | undefined;
  /** Unfinished ones of the disk that no holding of the run names, as long as they can be ours. */
  readonly lost: readonly ImageTransfer[];
  /** Unfinished ones of the disk that are somebody else's. */
  readonly foreign: readonly ImageTransfer[];
}

export async function ownTransfers({ engine, catalog, inactivityTimeoutSeconds }: TransfersOutside, { runId, diskId, transferKey }: OwnRequest): Promise<OwnTransfers> {
  const holdings = (await catalog.listHoldings({ runId })).filter(({ kind }) => kind === 'transfer');
  const knownId = holdings.find((holding) => holding.mark === transferMark(diskId, transferKey))?.objectId;
  const begun = (await engine.listEvents({ correlationId: transferKey })).filter(({ code }) => code === initiated).length;
  const named = new Set(holdings.map(({ objectId }) => objectId));
  const unnamed = (await engine.listTransfers()).filter((each) => each.diskId === diskId && !isFinished(each.phase) && !named.has(each.id));
  const idleSeconds = transferIdleSeconds(transferKey, inactivityTimeoutSeconds);
  const alike = unnamed.filter((each) => (each.inactivityTimeoutSeconds ?? idleSeconds) === idleSeconds);
  // More than our requests can have begun: one of them is somebody's.
  const lost = alike.length <= begun - (knownId === undefined ? 0 : 1) ? alike : alike.filter((each) => each.phase === 'initializing' && each.inactivityTimeoutSeconds !== undefined);
  return {
    wasBegun: begun > 0 || knownId !== undefined,
    knownId,
    known: knownId === undefined ? undefined : await engine.getTransfer(knownId),
    lost,
    foreign: unnamed.filter((each) => !lost.includes(each)),
  };
}

/** Whatever the run's requests for these disks have begun and is not over. */
export async function transfersOfRun(outside: TransfersOutside, runId: string, diskIds: readonly string[]): Promise<readonly ImageTransfer[]> {
  const requests = (await outside.catalog.listHoldings({ runId })).filter(({ state }) => state === 'held' || state === 'leftover').flatMap(requestOf).filter(({ diskId }) => diskIds.includes(diskId));
  const found: ImageTransfer[] = [];
  for (const request of requests) {
    const { known, lost } = await ownTransfers(outside, request);
    found.push(...[...(known ? [known] : []), ...lost].filter(({ phase }) => !isFinished(phase)));
  }
  return [...new Map(found.map((transfer) => [transfer.id, transfer])).values()];
}

function requestOf({ kind, runId, mark }: Holding): readonly OwnRequest[] {
  const of = kind === 'transfer' ? readTransferMark(mark) : undefined;
  return of ? [{ runId, ...of }] : [];
}

/** From these the engine goes on to an end by itself; asking for another end now would win over the one that is under way. */
const onTheWay: readonly TransferPhase[] = ['cancelled_system', 'cancelled_user', 'finalizing_success', 'finalizing_failure', 'finalizing_cleanup', 'finished_cleanup'];

/** Asks for its end where that is still to be asked for, and waits for it; `gone` when the engine has forgotten it. */
export async function endTransfer(engine: Engine, { id, diskId, phase }: ImageTransfer, outcome: 'finalize' | 'cancel'): Promise<'finished_success' | 'finished_failure' | 'gone'> {
  if (!onTheWay.includes(phase) && !isFinished(phase)) await (outcome === 'finalize' ? engine.finalizeTransfer(id) : engine.cancelTransfer(id));
  const end = await waitFor(async () => {
    const now = await engine.getTransfer(id);
    if (!now) return gone;
    return isFinished(now.phase) ? now : `image transfer ${id} of disk ${diskId ?? 'unknown'} is ${now.phaseText}`;
  });
  return 'phase' in end && (end.phase === 'finished_success' || end.phase === 'finished_failure') ? end.phase : 'gone';
}
