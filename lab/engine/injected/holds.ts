// Where the engine's own work stands still because somebody asked for it.
import type { ActiveFault, InjectedFaults } from './injected-faults';

/** Until the fault is released, for its seconds, or until the engine ends (then it throws). */
export type Hold = (active: ActiveFault, seconds: number | undefined) => Promise<void>;

export class Holds {
  constructor(
    private readonly faults: InjectedFaults,
    private readonly hold: Hold,
  ) {}

  /** `id`: the VM of a backup, the disk of a transfer. */
  async slowFinalize({ what, id }: { readonly what: 'backup' | 'transfer'; readonly id: string }): Promise<void> {
    const slow = this.faults.ofKind('slow-finalize').find(({ fault }) => {
      const wanted = what === 'backup' ? fault.vmId : fault.diskId;
      return fault.what === what && (wanted === undefined || wanted === id);
    });
    if (slow !== undefined) await this.hold(slow, slow.fault.seconds);
  }
}
