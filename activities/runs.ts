// Runs and holdings in the catalog: opening, closing, and what an earlier run on the same VM left behind. Role control.
import type { NewRun, RunEnd } from '../adapters/catalog/port';
import type { EarlierHolding, Holding } from '../domain/holdings';
import { holdingId } from '../domain/holdings';
import type { RunSettings } from '../domain/flows/settings';
import type { ControlDependencies } from './dependencies';
import { closeEndedVerifications } from './verifications';

export type { NewRun };

export interface EarlierRun {
  readonly runId: string;
  readonly workflowType: string;
  /** The backup that it made, or restored from. */
  readonly backupId: string | null;
  readonly repository: string | null;
}

export interface RunActivities {
  /** Idempotent by run id. Refuses a request id that another run has used (`catalog.conflict`). */
  openRun(run: NewRun): Promise<RunSettings>;
  /** Idempotent. Every leftover raises an alert; holdings that are leftovers are marked so. */
  closeRun(end: RunEnd & { readonly engine: string; readonly vmId?: string }): Promise<void>;
  /** Holdings on this VM whose run is no longer this one: with the VM's lock in hand, their owners are gone. */
  listEarlierHoldings(of: { readonly engine: string; readonly vmId: string; readonly runId: string }): Promise<readonly EarlierHolding[]>;
  /** Runs on this VM that the catalog calls open: with the VM's lock in hand, they were terminated. */
  listEarlierRuns(of: { readonly engine: string; readonly vmId: string; readonly runId: string }): Promise<readonly EarlierRun[]>;
  /** Clears the alert about a leftover that was released after all. */
  forgetLeftover(of: { readonly runId: string; readonly kind: string; readonly mark: string }): Promise<void>;
  /** Disks that the catalog says this run created: the only serials its writers may open. */
  listHeldDisks(of: { readonly runId: string }): Promise<readonly string[]>;
  /** Written before the VM is created by a worker that has no catalog. */
  holdVm(vm: { readonly runId: string; readonly engine: string; readonly vmId: string; readonly mark: string; readonly lockedVmId?: string | undefined }): Promise<void>;
  /**
   * The run's result names these objects from now on: no longer holdings to be released. The restored VM is the first: with that one row it
   * is decided that the VM stands and that what it replaced goes.
   */
  keepProducts(of: { readonly runId: string }): Promise<void>;
}

const isProduct = ({ kind }: Holding): boolean => kind === 'disk' || kind === 'vm' || kind === 'checkpoint';

export function createRunActivities(dependencies: ControlDependencies): RunActivities {
  const { catalog, settingsOf } = dependencies;
  const whatBecameOf = async (runId: string): Promise<Pick<EarlierHolding, 'committed' | 'repository'>> => {
    const [run] = await catalog.listRuns({ runId, page: { limit: 1, offset: 0 } });
    const committed = (await catalog.listHoldings({ runId })).some(({ kind, state }) => kind === 'vm' && state === 'product');
    return { committed, ...(typeof run?.repository !== 'string' ? {} : { repository: run.repository }) };
  };
  return {
    async openRun(run) {
      const settings = settingsOf(run.engine);
      await catalog.openRun(run);
      return settings;
    },

    async closeRun({ engine, vmId, ...end }) {
      for (const leftover of end.leftovers) {
        await catalog.raiseAlert({
          key: leftoverKey(end.runId, leftover.kind, leftover.mark),
          code: 'leftover',
          severity: 'alert',
          message: `Run ${end.runId} could not release the ${leftover.kind} ${leftover.objectId ?? ''} (${leftover.mark}): ${leftover.reason}`,
          engine,
          ...(vmId === undefined ? {} : { vmId }),
          runId: end.runId,
        });
      }
      const left = (await catalog.listHoldings({ runId: end.runId })).filter((holding) => holding.state === 'held');
      // What a completed run made and did not undo is its product: no sweep may ever take a restored VM for a leftover.
      for (const holding of left) await catalog.releaseHolding(holding.holdingId, end.outcome === 'completed' && isProduct(holding) ? 'product' : 'leftover');
      await catalog.closeRun(end);
    },

    async listEarlierHoldings({ engine, vmId, runId }) {
      const held = await catalog.listHoldings({ engine, vmId, state: 'held' });
      const left = await catalog.listHoldings({ engine, vmId, state: 'leftover' });
      const earlier = [...held, ...left].filter((holding) => holding.runId !== runId);
      const about = new Map<string, Pick<EarlierHolding, 'committed' | 'repository'>>();
      for (const id of new Set(earlier.map((holding) => holding.runId))) about.set(id, await whatBecameOf(id));
      return earlier.map((holding) => ({ ...holding, committed: false, ...about.get(holding.runId) }));
    },

    async listEarlierRuns({ engine, vmId, runId }) {
      await closeEndedVerifications(dependencies);
      const open = await catalog.listRuns({ engine, vmId, outcome: 'running', page: { limit: 100, offset: 0 } });
      return open.filter((run) => run.runId !== runId).map(({ runId: earlier, workflowType, backupId, repository }) => ({ runId: earlier, workflowType, backupId, repository }));
    },

    async forgetLeftover({ runId, kind, mark }) {
      await catalog.clearAlert(leftoverKey(runId, kind, mark), 'it was released');
    },

    async listHeldDisks({ runId }) {
      const holdings = await catalog.listHoldings({ runId });
      return holdings.filter((holding) => holding.kind === 'disk' && holding.state === 'held').map((holding) => holding.objectId ?? holding.mark);
    },

    async holdVm({ runId, engine, vmId, mark, lockedVmId }) {
      await catalog.hold({ holdingId: holdingId(runId, 'vm', vmId), runId, engine, kind: 'vm', objectId: vmId, mark, ...(lockedVmId === undefined ? {} : { vmId: lockedVmId }) });
    },

    async keepProducts({ runId }) {
      const products = (await catalog.listHoldings({ runId })).filter((holding) => isProduct(holding) && holding.state === 'held');
      for (const kind of ['vm', 'disk'] as const) {
        for (const holding of products.filter((each) => each.kind === kind)) await catalog.releaseHolding(holding.holdingId, 'product');
      }
    },
  };
}

export function leftoverKey(runId: string, kind: string, mark: string): string {
  return `leftover/${runId}/${kind}/${mark}`;
}
