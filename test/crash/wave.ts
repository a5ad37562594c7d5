// Cells side by side: as many as there are lanes, each wave looked at from outside when all its runs have ended, so that whatever is found is
// nobody's work in progress. What one cell leaves is told once and removed from later looks.
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { humanBytes } from '../../domain/units';
import type { Stack } from '../e2e/support/stack';
import { ask, until } from '../e2e/support/vms';
import { runCell, type CellPlan, type CellResult, type Products } from './cell';
import type { Lane } from './lane';
import { plannedRun } from './shapes';
import { backupsOf, keyOf, lookFromOutside, type Backup } from './outside';

export class Harness {
  private readonly known = new Set<string>();
  private readonly sourceBackups = new Map<Lane, Backup>();
  readonly results: CellResult[] = [];

  constructor(
    readonly stack: Stack,
    readonly lanes: readonly Lane[],
    /** With a VM of another kind; their cells run alone. */
    private readonly more: readonly Lane[],
    private readonly say: (line: string) => void,
  ) {}

  /** All cells, a lane each; the wave's cells are told when the wave is over. */
  async run(cells: readonly CellPlan[], lanes: readonly Lane[] = this.lanes): Promise<readonly CellResult[]> {
    const results: CellResult[] = [];
    for (let at = 0; at < cells.length; at += lanes.length) results.push(...(await this.wave(cells.slice(at, at + lanes.length), lanes)));
    return results;
  }

  /** Wave and disturbance together: `beside` runs while the cells do, for a part that all of them share. */
  async wave(cells: readonly CellPlan[], lanes: readonly Lane[] = this.lanes): Promise<readonly CellResult[]> {
    const pairs = cells.flatMap((plan, index) => (lanes[index] ? [{ plan, lane: lanes[index] }] : []));
    const ended = await Promise.all(pairs.map(async ({ plan, lane }) => ({ lane, result: await runCell(lane, plan, this.sourceBackups.get(lane)).catch((error: unknown) => broken(plan, error)) })));
    const results = await this.lookedAt(ended.map(({ result }) => result));
    for (const [index, { lane }] of ended.entries()) await this.tidied(lane, results[index]);
    for (const result of results) this.say(told(result));
    this.results.push(...results);
    return results;
  }

  get allLanes(): readonly Lane[] {
    return [...this.lanes, ...this.more];
  }

  /** One sealed backup of each lane's VM stays: what restores are made from. */
  async makeSources(): Promise<void> {
    await Promise.all(this.allLanes.map((lane) => this.makeSource(lane)));
  }

  private async makeSource(lane: Lane): Promise<void> {
    await lane.revive();
    await (await plannedRun(lane, 'backupVm').start()).result();
    const [backup] = await backupsOf(lane, lane.vm.id);
    if (!backup) throw new Error(`lane ${lane.name} has no source backup`);
    this.sourceBackups.set(lane, backup);
  }

  /** Results that say nothing, because the fault came at the wrong moment. */
  takeBack(results: readonly CellResult[]): void {
    for (const result of results) this.results.splice(this.results.indexOf(result), 1);
  }

  private async lookedAt(results: readonly CellResult[]): Promise<readonly CellResult[]> {
    const keptVmIds = results.flatMap(({ products }) => products.restored.map(({ vmId }) => vmId));
    const found = await lookFromOutside(this.stack, { lanes: this.allLanes, keptVmIds, known: this.known });
    for (const each of found) this.known.add(keyOf(each));
    return results.map((result) => {
      // What names no cell of the wave is everybody's: better all red than nobody.
      const own = found.filter(({ object, detail }) => {
        const names = ({ products }: CellResult): boolean => products.marks.some((mark) => object.includes(mark) || detail.includes(mark));
        return names(result) || !results.some(names);
      });
      return { ...result, problems: [...result.problems, ...own.map(({ where, what, object, detail }) => `left behind: ${where} ${what} ${object}: ${detail}`)] };
    });
  }

  /** Products are removed; a lane whose cell was red gets another VM, so that the next cell starts clean. */
  private async tidied(lane: Lane, result: CellResult | undefined): Promise<void> {
    if (!result) return;
    const source = this.sourceBackups.get(lane);
    for (const { vmId } of result.products.restored) await this.stack.lab.removeWithDisks(vmId);
    for (const backup of result.products.backups) if (backup.backupId !== source?.backupId) await rm(backup.directory, { recursive: true, force: true });
    if (result.problems.length === 0) return;
    await rm(path.join(lane.repositoryPath, 'vms'), { recursive: true, force: true });
    await this.repair(lane).catch((error: unknown) => { this.say(`what ${result.cell} left could not be removed: ${String(error)}`); });
    lane.vm = await lane.makeSource(this.stack, `${lane.vm.name}x`);
    await this.makeSource(lane);
  }

  /** What an administrator would do by hand. */
  private async repair({ vm }: Lane): Promise<void> {
    const { lab, applianceId } = this.stack;
    for (const { id } of vm.disks) await lab.engine('DELETE', `/vms/${applianceId}/diskattachments/${id}`);
    for (const { id } of vm.disks) await until(`disk ${id} is detached`, async () => (await ask.attachments(this.stack, applianceId)).every((attachment) => attachment.id !== id));
    await lab.removeWithDisks(vm.id);
  }
}

function told({ cell, problems, seconds, ended, bytesMovedAgain }: CellResult): string {
  const again = bytesMovedAgain === undefined ? '' : `, ${humanBytes(bytesMovedAgain)} moved again`;
  return `${problems.length === 0 ? 'green' : 'RED'} ${cell}: ${ended.slice(0, 100)}, ${seconds.toFixed(1)} s${again}${problems.map((problem) => `\n    ${problem}`).join('')}`;
}

const nothing: Products = { backups: [], restored: [], marks: [] };

function broken(plan: CellPlan, error: unknown): CellResult {
  return { cell: plan.name, fault: 'none', ended: 'harness failed', seconds: 0, problems: [`the harness could not run it: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`], products: nothing };
}
