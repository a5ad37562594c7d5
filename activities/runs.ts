// Runs and holdings in the catalog: opening, closing, and what an earlier run on the same VM left behind. Role control.
import type { NewRun, RunEnd } from '../adapters/catalog/port';
import type { Holding } from '../domain/holdings';
import { holdingId } from '../domain/holdings';
import type { RunSettings } from '../domain/flows/settings';
import type { ControlDependencies } from './dependencies';

export type { NewRun };

export interface EarlierRun {
  readonly runId: string;
  readonly backupId: string | null;
  readonly repository: string | null;
}

export interface RunActivities {
  /** Idempotent by run id. Refuses a request id that another run has used (`catalog.conflict`). */
  openRun(run: NewRun): Promise<RunSettings>;
  /** Idempotent. Every leftover raises an alert; holdings that are leftovers are marked so. */
  closeRun(end: RunEnd & { readonly engine: string; readonly vmId?: string }): Promise<void>;
  /** Holdings on this VM whose run is no longer this one: with the VM's lock in hand, their owners are gone. */
  listEarlierHoldings(of: { readonly engine: string; readonly vmId: string; readonly runId: string }): Promise<readonly Holding[]>;
  /** Runs on this VM that the catalog calls open: with the VM's lock in hand, they were terminated. */
  listEarlierRuns(of: { readonly engine: string; readonly vmId: string; readonly runId: string }): Promise<readonly EarlierRun[]>;
  /** Clears the alert about a leftover that was released after all. */
  forgetLeftover(of: { readonly runId: string; readonly kind: string; readonly mark: string }): Promise<void>;
  /** Disks that the catalog says this run created: the only serials its writers may open. */
  listHeldDisks(of: { readonly runId: string }): Promise<readonly string[]>;
  /** Written before the VM is created by a worker that has no catalog. */
  holdVm(vm: { readonly runId: string; readonly engine: string; readonly vmId: string; readonly mark: string }): Promise<void>;
  /** The run's result names these objects from now on: no longer holdings to be released. */
  keepProducts(of: { readonly runId: string }): Promise<void>;
}

export function createRunActivities({ catalog, settingsOf }: ControlDependencies): RunActivities {
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
      const product = ({ kind }: Holding): boolean => end.outcome === 'completed' && (kind === 'disk' || kind === 'vm');
      for (const holding of left) await catalog.releaseHolding(holding.holdingId, product(holding) ? 'product' : 'leftover');
      await catalog.closeRun(end);
    },

    async listEarlierHoldings({ engine, vmId, runId }) {
      const held = await catalog.listHoldings({ engine, vmId, state: 'held' });
      const left = await catalog.listHoldings({ engine, vmId, state: 'leftover' });
      return [...held, ...left].filter((holding) => holding.runId !== runId);
    },

    async listEarlierRuns({ engine, vmId, runId }) {
      const open = await catalog.listRuns({ engine, vmId, outcome: 'running', page: { limit: 100, offset: 0 } });
      return open.filter((run) => run.runId !== runId).map(({ runId: earlier, backupId, repository }) => ({ runId: earlier, backupId, repository }));
    },

    forgetLeftover: ({ runId, kind, mark }) => catalog.clearAlert(leftoverKey(runId, kind, mark)),

    async listHeldDisks({ runId }) {
      const holdings = await catalog.listHoldings({ runId });
      return holdings.filter((holding) => holding.kind === 'disk' && holding.state === 'held').map((holding) => holding.objectId ?? holding.mark);
    },

    async holdVm({ runId, engine, vmId, mark }) {
      await catalog.hold({ holdingId: holdingId(runId, 'vm', vmId), runId, engine, kind: 'vm', objectId: vmId, mark });
    },

    async keepProducts({ runId }) {
      for (const holding of await catalog.listHoldings({ runId })) {
        if (holding.state === 'held') await catalog.releaseHolding(holding.holdingId, 'product');
      }
    },
  };
}

function leftoverKey(runId: string, kind: string, mark: string): string {
  return `leftover/${runId}/${kind}/${mark}`;
}
