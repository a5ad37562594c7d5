// The outside look for lanes that work side by side: whoever asks gets a look that began after the question, and one look serves all who
// asked meanwhile. Other lanes' work in progress is in it, too: the asker says what counts.
import type { Stack } from '../e2e/support/stack';
import { findLeftovers, type FoundLeftover } from '../support/leftovers';
import type { Lane } from './lane';

const limitMs = 15_000;
const pauseMs = 300;

export const keyOf = ({ where, what, object }: FoundLeftover): string => `${where} ${what} ${object}`;

interface Look {
  readonly found: Promise<readonly FoundLeftover[]>;
  readonly vmIds: string[];
  isWhole: boolean;
}

export class Lookout {
  private underWay: Promise<unknown> = Promise.resolve();
  private next: Look | undefined;

  constructor(
    private readonly stack: Stack,
    private readonly lanes: readonly Lane[],
  ) {}

  /** Looks until nothing that counts is left or the time is over: what is killed needs a moment to be gone. `vmIds`: the asker's; all of them when absent. */
  async look(counts: (found: FoundLeftover) => boolean, vmIds?: readonly string[]): Promise<readonly FoundLeftover[]> {
    for (const deadline = Date.now() + limitMs; ; await new Promise((resolve) => setTimeout(resolve, pauseMs))) {
      const isLast = Date.now() > deadline;
      try {
        const found = (await this.once(vmIds)).filter(counts);
        if (found.length === 0 || isLast) return found;
      } catch (error) {
        // Another lane may have removed a VM between two of the look's questions about it.
        if (isLast) throw error;
      }
    }
  }

  /** Whoever asks while one is to come gets that one, which then looks at his VMs, too. */
  private once(vmIds: readonly string[] | undefined): Promise<readonly FoundLeftover[]> {
    const next = (this.next ??= this.toCome());
    if (vmIds === undefined) next.isWhole = true;
    else next.vmIds.push(...vmIds);
    return next.found;
  }

  private toCome(): Look {
    const coming = { vmIds: [] as string[], isWhole: false };
    const found = this.underWay.then(() => {
      this.next = undefined;
      const { labState, parts } = this.stack;
      const repositories = this.lanes.map(({ repositoryPath }) => repositoryPath);
      const applianceIds = [...new Set(this.lanes.map(({ applianceId }) => applianceId))];
      const look = findLeftovers({ labState, connectionFile: parts.lab.connectionFile, repositories, applianceIds, ...(coming.isWhole ? {} : { onlyVmIds: [...coming.vmIds, ...applianceIds] }) });
      this.underWay = look.catch(() => undefined);
      return look;
    });
    return Object.assign(coming, { found });
  }
}
