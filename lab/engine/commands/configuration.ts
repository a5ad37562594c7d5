// Gathers what the OVF writer needs: for a VM as it is now, or for a snapshot that is being taken of it.
import { activeImage, attachmentsOf, chainOf, ownImageDisks, placesOf, snapshotsOf, thePlace, volumeRef, type Context } from '../context';
import type { OvfSource, OvfSourceDisk, OvfVolume } from '../ovf/source';
import { writeOvf } from '../ovf/writer';
import type { ImageRecord, VmRecord } from '../state/model';

/** A VM's own configuration: whole chains of its image disks, LUNs, snapshots; no shareable disks, no attached snapshots. */
export async function vmConfiguration(context: Context, vm: VmRecord): Promise<string> {
  const disks: OvfSourceDisk[] = [];
  for (const attachment of attachmentsOf(context, vm.id)) {
    const disk = context.store.tables.disks.get(attachment.diskId);
    if (disk === undefined || disk.shareable || attachment.snapshotId !== undefined) continue;
    const image = activeImage(context, disk.id);
    // A template's volume at the bottom is the template's, not this VM's.
    const volumes =
      image === undefined
        ? []
        : await measured(
            context,
            chainOf(context, image).filter(({ diskId }) => diskId === disk.id),
          );
    disks.push({ disk, attachment, volumes });
  }
  return writeOvf({ ...common(context, vm), disks, snapshots: snapshotsOf(context, vm.id), withStorageIds: true });
}

/** What the snapshot will say: only the volumes that are frozen by it, no LUN, no shareable disk, no StorageId. */
export async function snapshotConfiguration(context: Context, vm: VmRecord, frozen: readonly ImageRecord[]): Promise<string> {
  const disks: OvfSourceDisk[] = [];
  for (const { disk, attachment } of ownImageDisks(context, vm.id)) {
    const images = frozen.filter((image) => image.diskId === disk.id).map((image) => ({ ...image, active: false }));
    if (images.length > 0) disks.push({ disk, attachment, volumes: await measured(context, images) });
  }
  return writeOvf({ ...common(context, vm), disks, snapshots: [], withStorageIds: false });
}

async function measured(context: Context, images: readonly ImageRecord[]): Promise<OvfVolume[]> {
  return Promise.all(
    images.map(async (image) => {
      const [bottom] = chainOf(context, image);
      return {
        image,
        actualBytes: (await context.volumes.info(volumeRef(image)))?.actualBytes ?? 0,
        ...(bottom === undefined || bottom.diskId === image.diskId ? {} : { templateImageId: bottom.id }),
      };
    }),
  );
}

function common(context: Context, vm: VmRecord): Omit<OvfSource, 'disks' | 'snapshots' | 'withStorageIds'> {
  const profiles = placesOf(context, 'vnic_profile');
  const networks = placesOf(context, 'network');
  const nics = context.store.tables.nics
    .where((nic) => nic.vmId === vm.id)
    .map((nic) => {
      const profile = profiles.find((candidate) => candidate.id === nic.profileId);
      const network = networks.find((candidate) => candidate.id === profile?.parentId);
      return { ...nic, profileName: profile?.name ?? '', networkName: network?.name ?? '' };
    });
  return {
    vm,
    nics,
    exportedMs: Date.now(),
    templateName: context.store.tables.templates.get(vm.templateId)?.name ?? 'Blank',
    dataCenterId: thePlace(context, 'data_center').id,
    clusterName: context.store.tables.places.get(vm.clusterId)?.name ?? '',
  };
}
