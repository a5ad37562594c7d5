// The room that a merge needs: what the volume below may grow by. A domain below its critical space takes a merge all the same, which is how one gets
// out of it (RemoveSnapshotCommand: allDomainsHaveSpaceForMerge, StorageDomainValidator.getRequiredSizeForMerge; no allDomainsWithinThresholds).
import { volumeRef, type Context } from '../context';
import { refuse } from '../refusals';
import type { ImageRecord } from '../state/model';

/** Of a qcow2 file over what it holds. */
const overhead = 1.1;

export async function refuseNoSpaceForMerge(context: Context, bases: readonly ImageRecord[]): Promise<void> {
  const { domains } = context.store.tables;
  const needed = new Map<string, number>();
  for (const base of bases) needed.set(base.domainId, (needed.get(base.domainId) ?? 0) + (await neededBytes(context, base)));
  for (const [domainId, bytes] of needed) {
    const { availableBytes } = await context.host.domainSpace(domainId);
    if (availableBytes < bytes) throw refuse('remove-snapshot/low-space', { domain: domains.get(domainId)?.name ?? domainId });
  }
}

async function neededBytes({ store, volumes }: Context, base: ImageRecord): Promise<number> {
  const top = store.tables.images.where(({ parentId }) => parentId === base.id)[0];
  const disk = store.tables.disks.get(base.diskId);
  if (top === undefined || disk === undefined) return 0;
  const [below, above] = [(await volumes.info(volumeRef(base)))?.actualBytes ?? 0, (await volumes.info(volumeRef(top)))?.actualBytes ?? 0];
  if (base.parentId !== undefined || base.format !== 'raw') return Math.min(disk.virtualBytes * overhead - below, above);
  return disk.sparse ? Math.min(above / overhead, disk.virtualBytes - below) : 0;
}
