// Disks that a restore makes, with ids chosen by us. Idempotency key: the disk id. Role control.
import type { DiskSettings } from '../domain/disks';
import { HoldfastError } from '../domain/failures';
import { holdingId } from '../domain/holdings';
import type { ControlDependencies } from './dependencies';
import { createUnlessThere } from './unless-there';
import { gone, waitFor } from './waiting';

export interface DiskOfRun {
  readonly engine: string;
  readonly runId: string;
  readonly diskId: string;
}

export interface DiskActivities {
  /** `lockedVmId`: the VM whose lock the run has. An id that some other disk has is `engine.foreign`: not even our own old id is ours to take. */
  createDisk(input: DiskOfRun & { readonly settings: DiskSettings; readonly storageDomainId: string; readonly lockedVmId?: string | undefined }): Promise<void>;
  /** Removes nothing but what the catalog says this run holds: as the original a disk's id alone proves nothing. */
  removeDisk(input: DiskOfRun): Promise<void>;
}

export function createDiskActivities({ engineOf, catalog }: ControlDependencies): DiskActivities {
  const idOf = ({ runId, diskId }: DiskOfRun): string => holdingId(runId, 'disk', diskId);

  const held = async (input: DiskOfRun): Promise<boolean> =>
    (await catalog.listHoldings({ runId: input.runId })).some(({ holdingId: id, state }) => id === idOf(input) && (state === 'held' || state === 'leftover'));

  return {
    async createDisk({ settings, storageDomainId, lockedVmId, ...input }) {
      const engine = engineOf(input.engine);
      const { diskId } = input;
      if (!(await held(input)) && (await engine.getDisk(diskId))) throw new HoldfastError('engine.foreign', `Disk ${diskId} (${settings.alias}) was to be made, but the engine has a disk of that id that this run did not make. Nothing is done to it. Start again: the restored disk then gets an id of its own.`, { diskId });
      await catalog.hold({ holdingId: idOf(input), runId: input.runId, engine: input.engine, kind: 'disk', objectId: diskId, mark: diskId, ...(lockedVmId === undefined ? {} : { vmId: lockedVmId }) });
      await createUnlessThere(() => engine.getDisk(diskId), () => engine.createDisk({ id: diskId, settings, storageDomainId }));
      await waitFor(async () => {
        const disk = await engine.getDisk(diskId);
        if (disk?.status === 'illegal') throw new HoldfastError('disk.illegal', `The engine made disk ${diskId} (${settings.alias}) but calls it illegal. Look at its events; the storage domain ${storageDomainId} may be failing.`, { diskId });
        return disk?.status === 'ok' ? disk : `disk ${diskId} is ${disk?.status ?? 'not there yet'}`;
      });
    },

    async removeDisk(input) {
      const engine = engineOf(input.engine);
      if (!(await held(input))) return;
      if (await engine.getDisk(input.diskId)) {
        await engine.removeDisk(input.diskId);
        await waitFor(async () => ((await engine.getDisk(input.diskId)) ? `disk ${input.diskId} is still being removed` : gone));
      }
      await catalog.releaseHolding(idOf(input), 'released');
    },
  };
}
