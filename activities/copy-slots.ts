// Copy slots: an attempt is one look, because hundreds of disks may wait for hours and must not take the control worker's own slots meanwhile.
// Idempotency key: the slot id. Role control.
import { Context } from '@temporalio/activity';
import type { NewCopySlot } from '../adapters/catalog/port';
import { limitOfDomain, nextLookMs, type CopyLimitKind, type CopyLimits } from '../domain/copy-slots';
import { HoldfastError } from '../domain/failures';
import { uuidSchema } from '../domain/ids';
import type { ControlDependencies } from './dependencies';
import type { OfRun } from './of-run';

export interface CopySlotOfRun extends OfRun {
  readonly slotId: string;
  readonly diskId: string;
  readonly storageDomainId?: string | undefined;
}

export type CopySlotAnswer = { readonly granted: true } | { readonly granted: false; readonly limit: CopyLimitKind; readonly waitingFor: string };

export interface CopySlotActivities {
  /** Answers when the copy may begin, or when it waits for another limit than `toldLimit`: so that operators see which. Until then: not yet. */
  takeCopySlot(input: CopySlotOfRun & { readonly toldLimit?: CopyLimitKind | undefined }): Promise<CopySlotAnswer>;
  giveBackCopySlot(input: CopySlotOfRun): Promise<void>;
}

const checkAfterSeconds = 30;
const namesForMs = 60_000;

export function createCopySlotActivities(dependencies: ControlDependencies): CopySlotActivities {
  const { catalog, copyLimitsOf, isExecutionRunning } = dependencies;
  const namesOf = domainNames(dependencies);

  /** Of all the engine's domains, not of this copy's alone: whoever asks judges the whole line. */
  const limitsOf = async (engine: string): Promise<CopyLimits> => {
    const { storageDomains, ...limits } = copyLimitsOf(engine);
    const named = Object.entries(storageDomains).map(([key, { copiesAtOnce }]) => ({ key, copiesAtOnce, isId: uuidSchema.safeParse(key).success }));
    const names = named.every(({ isId }) => isId) ? new Map<string, string>() : await namesOf(engine);
    const ids = (key: string): readonly string[] => [...names].filter(([, name]) => name === key).map(([id]) => id);
    return { ...limits, ofStorageDomain: Object.fromEntries(named.flatMap(({ key, copiesAtOnce, isId }) => (isId ? [key] : ids(key)).map((id) => [id, copiesAtOnce]))) };
  };

  const dropOwnerless = async (slot: NewCopySlot): Promise<void> => {
    const unchecked = await catalog.claimUncheckedSlots(slot, checkAfterSeconds);
    const over = (await Promise.all(unchecked.map(async (each) => ((await isExecutionRunning(each)) ? [] : [each.slotId])))).flat();
    if (over.length > 0) await catalog.dropCopySlots(over);
  };

  return {
    async takeCopySlot(input) {
      const slot = slotOf(input);
      const limits = await limitsOf(input.engine);
      const verdict = await catalog.takeCopySlot(slot, limits);
      if (verdict.granted) return verdict;
      await dropOwnerless(slot);
      const { limit, ahead } = verdict;
      if (limit !== input.toldLimit) return { granted: false, limit, waitingFor: await limitText(limit, limits, input) };
      throw new HoldfastError('wait.pending', `disk ${input.diskId} waits for a copy slot: ${await limitText(limit, limits, input)}; ${ahead} are before it`, { limit, ahead }, { retryAfterMs: nextLookMs(ahead) });
    },

    giveBackCopySlot: (input) => catalog.giveBackCopySlot(slotOf(input)),
  };

  async function limitText(limit: CopyLimitKind, limits: CopyLimits, { engine, storageDomainId = '' }: CopySlotOfRun): Promise<string> {
    if (limit === 'engine') return `engine ${engine} has as many copies as it may have at once (${limits.copiesAtOnce})`;
    const names = await namesOf(engine).catch(() => new Map<string, string>());
    return `storage domain ${names.get(storageDomainId) ?? storageDomainId} has as many copies as it may have at once (${limitOfDomain(limits, storageDomainId)})`;
  }
}

function slotOf({ slotId, engine, runId, diskId, storageDomainId }: CopySlotOfRun): NewCopySlot {
  const { workflowExecution, namespace } = Context.current().info;
  return { slotId, engine, runId, diskId, namespace, workflowId: workflowExecution?.workflowId ?? '', executionId: workflowExecution?.runId ?? '', ...(storageDomainId === undefined ? {} : { storageDomainId }) };
}

/** By id. Names change rarely, and every waiting disk would ask for the whole list every few seconds. */
function domainNames({ engineOf }: ControlDependencies): (engine: string) => Promise<ReadonlyMap<string, string>> {
  const known = new Map<string, { readonly names: ReadonlyMap<string, string>; readonly untilMs: number }>();
  return async (engine) => {
    const fresh = known.get(engine);
    if (fresh && fresh.untilMs > Date.now()) return fresh.names;
    const names = new Map((await engineOf(engine).listStorageDomains()).map(({ id, name }) => [id, name]));
    known.set(engine, { names, untilMs: Date.now() + namesForMs });
    return names;
  };
}
