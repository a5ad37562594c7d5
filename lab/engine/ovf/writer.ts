// Writes a VM's configuration as the engine does (ovf.md sections 1 to 5): on one line, in the engine's order.
// Pure; the hardware section is next door.
import { element } from '../xml';
import { hardware } from './hardware';
import { href, mib, section, text } from './parts';
import type { OvfSource, OvfSourceDisk } from './source';
import { blankId, diskInterfaces, generalElements, ovfDate } from './words';

const namespaces = {
  'xmlns:ovf': 'http://schemas.dmtf.org/ovf/envelope/1/',
  'xmlns:rasd': 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData',
  'xmlns:vssd': 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData',
  'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
  'ovf:version': '4.5.0.0',
};
const formatUrls = {
  cow: 'http://www.gnome.org/~markmc/qcow-image-format.html',
  raw: 'http://www.vmware.com/specifications/vmdk.html#sparse',
} as const;
const gib = 1024 ** 3;

export function writeOvf(source: OvfSource): string {
  const networks = [...new Set(source.nics.map((nic) => nic.networkName))].filter((name) => name !== '');
  const envelope =
    element('References', source.disks.map(files).join('')) +
    element(
      'NetworkSection',
      text('Info', 'List of networks') + networks.map((name) => element('Network', '', { 'ovf:name': name })).join(''),
    ) +
    section('ovf:DiskSection_Type', text('Info', 'List of Virtual Disks') + source.disks.map(disks).join('')) +
    element('Content', general(source) + operatingSystem(source) + hardware(source) + snapshots(source), {
      'ovf:id': 'out',
      'xsi:type': 'ovf:VirtualSystem_Type',
    });
  return `<?xml version="1.0" encoding="UTF-8"?>${element('ovf:Envelope', envelope, namespaces)}`;
}

function files({ disk, volumes }: OvfSourceDisk): string {
  if (disk.kind === 'lun') {
    return element('File', '', {
      'ovf:href': disk.id,
      'ovf:id': disk.id,
      'ovf:size': '0',
      'ovf:description': disk.description,
      'ovf:disk_storage_type': 'LUN',
      'ovf:cinder_volume_type': '',
    });
  }
  return volumes
    .map(({ image, actualBytes }) =>
      element('File', '', {
        'ovf:href': href(image),
        'ovf:id': image.id,
        'ovf:size': String(actualBytes),
        'ovf:description': image.active ? 'Active VM' : disk.description,
        'ovf:disk_storage_type': 'IMAGE',
        'ovf:cinder_volume_type': '',
      }),
    )
    .join('');
}

function disks(source: OvfSourceDisk): string {
  const { disk, attachment, volumes } = source;
  const shared = {
    'ovf:disk-interface': diskInterfaces[attachment.interface],
    'ovf:read-only': String(attachment.readOnly),
    'ovf:shareable': String(disk.shareable),
    'ovf:boot': String(attachment.bootable),
    'ovf:pass-discard': String(attachment.passDiscard),
    'ovf:incremental-backup': String(disk.incrementalBackup),
    'ovf:disk-alias': disk.alias,
    'ovf:disk-description': disk.description,
    'ovf:wipe-after-delete': String(disk.wipeAfterDelete),
  };
  if (disk.kind === 'lun') {
    const [unit] = disk.lun?.units ?? [];
    return element('Disk', '', {
      'ovf:diskId': disk.id,
      'ovf:fileRef': disk.id,
      'ovf:plugged': String(attachment.active),
      'ovf:lun_id': unit?.id ?? '',
      ...shared,
    });
  }
  return volumes
    .map(({ image, actualBytes }) =>
      element('Disk', '', {
        'ovf:diskId': image.id,
        'ovf:size': String(Math.floor(disk.virtualBytes / gib)),
        'ovf:actual_size': String(Math.floor(actualBytes / gib)),
        'ovf:vm_snapshot_id': image.snapshotId ?? blankId,
        'ovf:parentRef': '',
        'ovf:fileRef': href(image),
        'ovf:format': formatUrls[image.format],
        'ovf:volume-format': image.format === 'cow' ? 'COW' : 'RAW',
        'ovf:volume-type': disk.sparse || image.format === 'cow' ? 'Sparse' : 'Preallocated',
        ...shared,
      }),
    )
    .join('');
}

function general({ vm, clusterName, templateName, exportedMs }: OvfSource): string {
  const fromRecord: Readonly<Record<string, string>> = {
    Name: vm.name,
    Description: vm.description,
    Comment: vm.comment,
    CreationDate: ovfDate(vm.createdMs),
    ExportDate: ovfDate(exportedMs),
    DeleteProtected: String(vm.deleteProtected),
    Generation: String(vm.generation),
    VmType: String(vm.vmType),
    MinAllocatedMem: String(Math.floor(vm.guaranteedBytes / mib)),
    BiosType: String(vm.biosType),
    MaxMemorySizeMb: String(Math.floor(vm.maxMemoryBytes / mib)),
    ClusterName: clusterName,
    TemplateId: vm.templateId ?? blankId,
    TemplateName: templateName,
  };
  return generalElements
    .map(([name]) => {
      const value = fromRecord[name] ?? vm.general[name];
      return value === undefined ? '' : text(name, value);
    })
    .join('');
}

function operatingSystem({ vm }: OvfSource): string {
  return section('ovf:OperatingSystemSection_Type', text('Info', 'Guest Operating System') + text('Description', vm.osType), {
    'ovf:id': vm.id,
    'ovf:required': 'false',
  });
}

function snapshots(source: OvfSource): string {
  if (source.snapshots.length === 0) return '';
  return section(
    'ovf:SnapshotsSection_Type',
    source.snapshots
      .map((snapshot) =>
        element(
          'Snapshot',
          text('Type', snapshot.type.toUpperCase()) +
            text('Description', snapshot.description) +
            text('CreationDate', ovfDate(snapshot.createdMs)) +
            (snapshot.configuration === undefined ? '' : text('VmConfiguration', Buffer.from(snapshot.configuration).toString('base64'))),
          { 'ovf:id': snapshot.id },
        ),
      )
      .join(''),
  );
}
