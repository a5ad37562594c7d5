// The inventory of an engine's VMs, and the evaluation of their backups. Role control. Answers are counts and a text for each objective, whatever the
// number of VMs. Idempotent: a refresh or an evaluation that is repeated begins anew.
import type { InventoryVm } from '../adapters/catalog/port-inventory';
import type { Engine, Vm } from '../adapters/ovirt/port';
import { asksForBackups, objectiveAlertText, uncoveredAlertText, type VmCounts } from '../domain/awareness/vm-objectives';
import type { ListVmAwarenessInput, ListVmAwarenessOutput } from '../domain/flows/vm-awareness';
import { pageOf } from './catalog';
import type { ControlDependencies } from './dependencies';

/** `text`: the alert that is to be raised or kept; absent: nothing is wrong. */
export type VmFinding = VmCounts & { readonly text?: string };

export interface VmFindings {
  /** That were judged. */
  readonly vms: number;
  /** That need no backup by the configuration. Absent in histories of an older release. */
  readonly exempt?: number;
  /** Every objective of the configuration that asks for backups, in its order. */
  readonly objectives: readonly (VmFinding & { readonly objective: string })[];
  readonly uncovered: VmFinding;
}

export interface InventoryActivities {
  /** Lists all VMs of the engine into the catalog. Takes as long as the engine needs for that: minutes for a hundred thousand. */
  refreshInventory(input: { readonly engine: string }): Promise<{ readonly vms: number; readonly removed: number }>;
  judgeVms(input: { readonly engine: string }): Promise<VmFindings>;
  listVmAwarenessInCatalog(query: ListVmAwarenessInput): Promise<ListVmAwarenessOutput>;
}

/** The engine answers a thousand VMs as soon as a hundred, in one request instead of ten. */
const vmsPerPage = 1000;
const unseenPerPage = 100;

export function createInventoryActivities({ engineOf, catalog, settingsOf, vmObjectivesOf }: ControlDependencies): InventoryActivities {
  return {
    async refreshInventory({ engine: name }) {
      const engine = engineOf(name);
      const appliances = new Set(settingsOf(name).applianceIds);
      const tagsOf = await tagsByVm(engine, namedTags(vmObjectivesOf(name)));
      const asRecorded = ({ id, name: vmName, isHostedEngine }: Vm): InventoryVm => ({ vmId: id, name: vmName, tags: tagsOf.get(id) ?? [], isInfrastructure: appliances.has(id) || isHostedEngine === true });
      const { since } = await catalog.beginInventory(name);
      for await (const vms of pagesOf(engine)) {
        await catalog.recordVms(name, vms.map(asRecorded));
      }
      // A VM that goes away while pages are read moves those behind it one place forward, and one of them out of sight: what was known and did not
      // come is asked for by its id. Only then is nobody forgotten whom the engine still has.
      for (let after: string | undefined, full = true; full; ) {
        const unseen = await catalog.listVmsNotSeen({ engine: name, since, limit: unseenPerPage, ...(after === undefined ? {} : { after }) });
        for (const { vmId } of unseen) {
          const vm = await engine.getVm(vmId);
          if (vm) await catalog.recordVms(name, [asRecorded(vm)]);
          after = vmId;
        }
        full = unseen.length === unseenPerPage;
      }
      return catalog.finishInventory(name, since);
    },

    async judgeVms({ engine }) {
      const objectives = vmObjectivesOf(engine);
      const { vms, exempt, objectives: judged, uncovered } = await catalog.judgeVms({ engine, objectives, nowMs: Date.now() });
      return {
        vms,
        exempt,
        objectives: objectives.filter(asksForBackups).flatMap((objective, place) => {
          const counts = judged[place];
          return counts === undefined ? [] : [{ ...counts, ...textOf(objectiveAlertText(engine, objective, counts)) }];
        }),
        uncovered: { ...uncovered, ...textOf(uncoveredAlertText(engine, uncovered, vms)) },
      };
    },

    async listVmAwarenessInCatalog(query) {
      const { rows, more } = pageOf(await catalog.listVmAwareness(query), query);
      return { vms: rows, more, exempt: await catalog.countExemptVms(query) };
    },
  };
}

const textOf = (text: string | undefined): { text?: string } => (text === undefined ? {} : { text });

function namedTags(objectives: ReturnType<ControlDependencies['vmObjectivesOf']>): readonly string[] {
  return [...new Set(objectives.flatMap(({ vms }) => ('tag' in vms ? [vms.tag] : [])))];
}

async function* pagesOf(engine: Engine, search?: string): AsyncGenerator<Awaited<ReturnType<Engine['listVms']>>> {
  for (let page = 1, full = true; full; page += 1) {
    const vms = await engine.listVms({ max: vmsPerPage, page, ...(search === undefined ? {} : { search }) });
    yield vms;
    full = vms.length === vmsPerPage;
  }
}

/**
 * By a search for each tag that an objective names, and no other: `follow=tags` would cost the engine a query for each VM, and it ignores `max` while it
 * follows, so that a hundred thousand VMs were a thousand requests instead of a hundred. The engine's search finds the VMs of a tag's child tags too.
 * All VMs that carry one fit into memory: an id each, and lists that VMs with the same tags share.
 */
async function tagsByVm(engine: Engine, tags: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  const shared = new Map<string, readonly string[]>();
  for (const tag of tags) {
    for await (const vms of pagesOf(engine, `tag="${tag}"`)) {
      for (const { id } of vms) {
        const list = [...new Set([...(found.get(id) ?? []), tag])];
        const key = JSON.stringify(list);
        if (!shared.has(key)) shared.set(key, list);
        found.set(id, shared.get(key) ?? list);
      }
    }
  }
  return found;
}
