// What Holdfast wants to know from a saved configuration: which VM it is, its disks and its network cards.
import type { diskInterfaces } from '../disks';
import { uuidSchema } from '../ids';
import { childrenOf, corrupt, hardwareItems, type OvfDocument, parseOvf, rasdOf, resourceTypes, sectionsOf, textOf } from './document';

export interface OvfDisk {
  readonly diskId: string;
  /** Volume; a LUN has none and carries its disk id here. */
  readonly imageId: string;
  readonly alias: string;
  readonly description: string;
  readonly interface: (typeof diskInterfaces)[number];
  readonly bootable: boolean;
  readonly readOnly: boolean;
  readonly shareable: boolean;
  readonly passDiscard: boolean;
  readonly wipeAfterDelete: boolean;
  readonly incrementalBackup: boolean;
  readonly plugged: boolean;
  readonly format: 'cow' | 'raw' | 'unassigned';
  readonly sparse: boolean;
  /** IMAGE, LUN, CINDER, MANAGED_BLOCK_STORAGE; sizes are floored to GiB in an OVF and therefore not read. */
  readonly storageType: string;
}

export interface OvfNic {
  readonly id: string;
  /** Position among the network cards, from 0. */
  readonly index: number;
  readonly name: string;
  readonly mac: string;
  readonly network: string;
  readonly profile: string;
}

export interface OvfSummary {
  readonly vmId: string;
  readonly name: string;
  readonly comment: string;
  readonly clusterName: string;
  readonly disks: readonly OvfDisk[];
  readonly nics: readonly OvfNic[];
}

export function readOvf(xml: string): OvfSummary {
  const ovf = parseOvf(xml);
  return {
    vmId: vmIdOf(ovf),
    name: textOf(childrenOf(ovf.content, 'Name')[0]) ?? '',
    comment: childrenOf(ovf.content, 'Comment')[0]?.textContent ?? '',
    clusterName: textOf(childrenOf(ovf.content, 'ClusterName')[0]) ?? '',
    disks: readDisks(ovf),
    nics: hardwareItems(ovf, resourceTypes.nic).map((item, index) => ({
      id: textOf(rasdOf(item, 'InstanceId')) ?? '',
      index,
      name: textOf(rasdOf(item, 'Name')) ?? '',
      mac: textOf(rasdOf(item, 'MACAddress')) ?? '',
      network: textOf(rasdOf(item, 'Connection')) ?? '',
      profile: textOf(rasdOf(item, 'OtherResourceType')) ?? '',
    })),
  };
}

export function vmIdOf({ operatingSystem }: OvfDocument): string {
  const vmId = uuidSchema.safeParse(operatingSystem.getAttribute('ovf:id')?.toLowerCase());
  if (!vmId.success) throw corrupt(`the ovf:id of its operating system section is "${operatingSystem.getAttribute('ovf:id') ?? ''}", which is no VM id`);
  return vmId.data;
}

const interfaceWords: Readonly<Record<string, OvfDisk['interface']>> = { IDE: 'ide', VirtIO_SCSI: 'virtio_scsi', VirtIO: 'virtio', SPAPR_VSCSI: 'spapr_vscsi', SATA: 'sata' };
const formatWords: Readonly<Record<string, OvfDisk['format']>> = { COW: 'cow', RAW: 'raw' };

/** One entry per disk. The configuration of a VM, unlike a snapshot's, lists every volume of a chain: only the top one counts. */
function readDisks(ovf: OvfDocument): readonly OvfDisk[] {
  const items = hardwareItems(ovf, resourceTypes.disk);
  const parents = new Set(items.map((item) => textOf(rasdOf(item, 'Parent'))));
  const files = childrenOf(ovf.envelope, 'References').flatMap((references) => childrenOf(references, 'File'));
  const disks = sectionsOf(ovf.envelope, 'DiskSection').flatMap((section) => childrenOf(section, 'Disk'));
  return disks.flatMap((disk): OvfDisk[] => {
    const read = (name: string): string => disk.getAttribute(`ovf:${name}`) ?? '';
    const imageId = read('diskId');
    if (parents.has(imageId)) return [];
    const file = files.find((candidate) => candidate.getAttribute('ovf:id') === imageId);
    const item = items.find((candidate) => textOf(rasdOf(candidate, 'InstanceId')) === imageId);
    // HostResource wins over File in the engine's reader; a LUN has neither an Item nor a slash.
    const reference = [textOf(item && rasdOf(item, 'HostResource')), file?.getAttribute('ovf:href'), read('fileRef'), imageId].find(Boolean) ?? '';
    const alias = read('disk-alias');
    return [
      {
        diskId: reference.split('/')[0] ?? '',
        imageId,
        alias,
        description: read('disk-description'),
        interface: interfaceOf(read('disk-interface'), alias),
        bootable: read('boot') === 'true',
        readOnly: read('read-only') === 'true',
        shareable: read('shareable') === 'true',
        passDiscard: read('pass-discard') === 'true',
        wipeAfterDelete: read('wipe-after-delete') === 'true',
        incrementalBackup: read('incremental-backup') === 'true',
        plugged: (textOf(item && childrenOf(item, 'IsPlugged')[0]) ?? read('plugged')) !== 'false',
        format: formatWords[read('volume-format')] ?? 'unassigned',
        sparse: read('volume-type') === 'Sparse',
        storageType: file?.getAttribute('ovf:disk_storage_type') ?? 'IMAGE',
      },
    ];
  });
}

function interfaceOf(word: string, alias: string): OvfDisk['interface'] {
  if (word === '') return 'ide';
  const known = interfaceWords[word];
  if (known === undefined) throw corrupt(`its disk "${alias}" has the unknown interface "${word}"`);
  return known;
}
