// The configuration of a VM that a restore replaces: saved beside the run in the repository, because it is too large for a history, and put
// back from there. Idempotency key: the run id. Role mover.
import { HoldfastError } from '../domain/failures';
import { readOvf, rewriteOvf } from '../domain/ovf';
import type { ReplacedVm } from '../adapters/repository/port';
import type { Engine } from '../adapters/ovirt/port';
import type { MoverDependencies } from './dependencies';
import type { OfRun } from './of-run';
import { createUnlessThere } from './unless-there';
import { waitFor } from './waiting';

export interface ReplacedConfiguration extends OfRun {
  readonly repository: string;
  readonly vmId: string;
}

export interface ReplacedConfigurationActivities {
  /** The VM as it is now, durable before it is touched. */
  saveReplacedVm(input: ReplacedConfiguration): Promise<void>;
  /** Makes the VM again from what was saved, and gives it its disks. `mark`: of the VM that took its place, which must be gone. */
  putBackReplacedVm(input: ReplacedConfiguration & { readonly mark: string }): Promise<void>;
  dropReplacedVm(input: ReplacedConfiguration): Promise<void>;
}

export function createReplacedConfigurationActivities({ repositoryOf, engineOf }: MoverDependencies): ReplacedConfigurationActivities {
  return {
    async saveReplacedVm({ repository, engine: name, runId, vmId }) {
      const engine = engineOf(name);
      const vm = await engine.getVm(vmId);
      if (!vm) throw new HoldfastError('engine.not-found', `VM ${vmId}, which was to be replaced, is gone. Restore it as the original.`, { vmId });
      const ovf = await engine.getVmConfiguration(vmId);
      // What could not be put back is not taken away.
      readOvf(rewritten({ vmId, name: vm.name, ovf }));
      const attachments = (await engine.listVmDisks(vmId)).map(({ settings: { diskId, interface: bus, bootable, active, readOnly, passDiscard } }) => ({ diskId, interface: bus, bootable, active, readOnly, passDiscard }));
      await repositoryOf(repository).saveReplacedVm(runId, { vmId, name: vm.name, comment: vm.comment, clusterId: vm.clusterId, ovf, attachments });
    },

    async putBackReplacedVm({ repository, engine: name, runId, vmId, mark }) {
      const store = repositoryOf(repository);
      const saved = await store.readReplacedVm(runId);
      // Never taken away, or back already.
      if (!saved) return;
      const engine = engineOf(name);
      if ((await engine.getVm(vmId))?.comment === mark) throw new HoldfastError('engine.conflict', `VM ${saved.name} (${vmId}) cannot be put back while the VM that took its place is there ("${mark}"). Remove that one, keeping its disks.`, { vmId });
      await makeAgain(engine, saved);
      for (const attachment of saved.attachments) {
        await createUnlessThere(() => engine.getAttachment(vmId, attachment.diskId), () => engine.attachDisk({ vmId, ...attachment }));
      }
      await store.dropReplacedVm(runId);
    },

    dropReplacedVm: ({ repository, runId }) => repositoryOf(repository).dropReplacedVm(runId),
  };
}

const rewritten = ({ vmId, name, ovf }: Pick<ReplacedVm, 'vmId' | 'name' | 'ovf'>): string => rewriteOvf(ovf, { vmId, name, nics: 'keep', samePlace: true, stripDisks: true });

async function makeAgain(engine: Engine, saved: ReplacedVm): Promise<void> {
  const { vmId, name, comment, clusterId } = saved;
  await createUnlessThere(() => engine.getVm(vmId), () => engine.createVmFromConfiguration({ name, clusterId, comment, ovf: rewritten(saved) }));
  await waitFor(async () => {
    const vm = await engine.getVm(vmId);
    return vm?.status === 'image_locked' || !vm ? `VM ${name} (${vmId}) is being made again` : vm;
  });
}
