// Cells side by side: every lane takes its next cell at once. When a cell's run has ended it is looked at from outside, and what is found is
// held against it by the ids and paths that are its own; what names nobody is told when all lanes stand still.
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { humanBytes } from '../../domain/units';
import type { Stack } from '../e2e/support/stack';
import type { FoundLeftover } from '../support/leftovers';
import { vmRemoved } from './by-hand';
import { runCell, type CellPlan, type CellResult } from './cell';
import { marksOf } from './judge';
import type { Lane } from './lane';
import { Lookout, keyOf } from './lookout';

export class Harness {
  private readonly known = new Set<string>();
  private readonly lookout: Lookout;
  readonly results: CellResult[] = [];

  constructor(
    readonly stack: Stack,
    readonly lanes: readonly Lane[],
    /** For cells that need a lane of another kind. */
    more: readonly Lane[],
    private readonly say: (line: string) => void,
  ) {
    this.lookout = new Lookout(stack, [...lanes, ...more]);
  }

  /** Told as they end; the results are in the order of the cells. */
  async run(cells: readonly CellPlan[], lanes: readonly Lane[] = this.lanes): Promise<readonly CellResult[]> {
    const waiting = [...cells.entries()];
    const results: CellResult[] = [];
    await Promise.all(lanes.map(async (lane) => {
      for (let next = waiting.shift(); next; next = waiting.shift()) results[next[0]] = await this.cell(lane, next[1]);
    }));
    this.results.push(...results);
    return results;
  }

  /** What is left and names no cell, once nothing runs any more: it is everybody's. */
  async strays(): Promise<readonly string[]> {
    return (await this.lookout.look((each) => !this.known.has(keyOf(each)))).map(toldLeftover);
  }

  /** Results that say nothing, because the fault came at the wrong moment. */
  takeBack(results: readonly CellResult[]): void {
    for (const result of results) this.results.splice(this.results.indexOf(result), 1);
  }

  private async cell(lane: Lane, plan: CellPlan): Promise<CellResult> {
    const ended = await runCell(lane, plan).catch((error: unknown) => broken(lane, plan, error));
    // One cell's trouble must not end the others.
    const left = await this.leftBy(ended).catch((error: unknown) => [`nobody could look: ${String(error)}`]);
    const seen = { ...ended, problems: [...ended.problems, ...left] };
    const result = { ...seen, problems: [...seen.problems, ...(await this.tidied(lane, seen))] };
    this.say(told(result));
    return result;
  }

  private async leftBy({ products }: CellResult): Promise<readonly string[]> {
    const kept = products.restored.map(({ vmId }) => vmId);
    const found = await this.lookout.look((each) => {
      if (this.known.has(keyOf(each)) || (each.what === 'marked-vm' && kept.includes(each.object))) return false;
      return products.marks.some((mark) => each.object.includes(mark) || each.detail.includes(mark));
    }, products.marks);
    for (const each of found) this.known.add(keyOf(each));
    return found.map((each) => `left behind: ${toldLeftover(each)}`);
  }

  /** Products are removed; a lane whose cell was red gets another VM, so that the next cell starts clean. Says what it could not do. */
  private async tidied(lane: Lane, { problems, products }: CellResult): Promise<readonly string[]> {
    try {
      for (const { vmId } of products.restored) await this.stack.lab.removeWithDisks(vmId);
      if (problems.length === 0) {
        await lane.sources.take(products.backups);
        return [];
      }
    } catch (error) {
      if (problems.length === 0) return [`what it made could not be put away: ${String(error)}`, ...(await this.renewed(lane))];
    }
    return this.renewed(lane);
  }

  private async renewed(lane: Lane): Promise<readonly string[]> {
    await rm(path.join(lane.repositoryPath, 'vms'), { recursive: true, force: true });
    lane.sources.forget();
    const trouble = await vmRemoved(lane).then(() => [], (error: unknown) => [`what it left could not be removed: ${String(error)}`]);
    lane.vm = await lane.makeSource(this.stack, `${lane.vm.name}x`);
    return trouble;
  }
}

const toldLeftover = ({ where, what, object, detail }: FoundLeftover): string => `${where} ${what} ${object}: ${detail}`;

function told({ cell, problems, seconds, ended, bytesMovedAgain }: CellResult): string {
  const again = bytesMovedAgain === undefined ? '' : `, ${humanBytes(bytesMovedAgain)} moved again`;
  return `${problems.length === 0 ? 'green' : 'RED'} ${cell}: ${ended.slice(0, 100)}, ${seconds.toFixed(1)} s${again}${problems.map((problem) => `\n    ${problem}`).join('')}`;
}

function broken(lane: Lane, plan: CellPlan, error: unknown): CellResult {
  const problem = `the harness could not run it: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  return { cell: plan.name, method: plan.shape.method, fault: 'none', ended: 'harness failed', seconds: 0, problems: [problem], products: { backups: [], restored: [], marks: marksOf(lane) } };
}
