// The catalog's inventory of VMs, and the evaluation of their backups over it. A part of `Catalog` (port.ts), with the same promises.
import type { VmCounts, VmObjective } from '../../domain/awareness/vm-objectives';
import type { ListVmAwarenessInput, VmWithoutFreshBackup } from '../../domain/flows/vm-awareness';

export interface InventoryVm {
  readonly vmId: string;
  readonly name: string;
  readonly tags: readonly string[];
  /** Not judged: an appliance, or the VM that the engine runs in. */
  readonly isInfrastructure: boolean;
}

export interface JudgedObjective extends VmCounts {
  readonly objective: string;
}

/** Counts, whatever the number of VMs. */
export interface VmJudgement {
  /** Of the engine, that were judged: neither infrastructure nor exempt. */
  readonly vms: number;
  /** Of the engine, that need no backup by an objective. */
  readonly exempt: number;
  /** Every objective that asks for backups, in the order given, also one that no VM matches. */
  readonly objectives: readonly JudgedObjective[];
  readonly uncovered: VmCounts;
}

/**
 * A refresh is `beginInventory`, then every VM of the engine in pages by `recordVms`, then `finishInventory`. One that stops midway has removed
 * nothing: what it did not come to is as old as before.
 */
export interface Inventory {
  /** The database's clock to the microsecond, as it writes it itself. */
  beginInventory(engine: string): Promise<{ readonly since: string }>;
  /** Writes or refreshes these rows. */
  recordVms(engine: string, vms: readonly InventoryVm[]): Promise<void>;
  /** VMs that nobody has recorded since then, after the id `after`: a listing in pages may have missed them. */
  listVmsNotSeen(query: { readonly engine: string; readonly since: string; readonly after?: string; readonly limit: number }): Promise<readonly { readonly vmId: string; readonly name: string }[]>;
  /** Only after all VMs were recorded: removes those that nobody has recorded since then. */
  finishInventory(engine: string, since: string): Promise<{ readonly removed: number; readonly vms: number }>;
  /** By the rule of domain/awareness/vm-objectives. Only rows of the list that have changed are written. Without objectives nothing is judged and the list is empty. */
  judgeVms(query: { readonly engine: string; readonly objectives: readonly VmObjective[]; readonly nowMs: number }): Promise<VmJudgement>;
  /** As of the last evaluation: what has no backup first, then the oldest. At most `page.limit + 1` rows. Exempt VMs only when the state is asked for. */
  listVmAwareness(query: ListVmAwarenessInput): Promise<readonly VmWithoutFreshBackup[]>;
  /** As of the last evaluation; of one objective, or of all. */
  countExemptVms(query: Pick<ListVmAwarenessInput, 'engine' | 'objective'>): Promise<number>;
}
