// Writes a VM's configuration as the engine does (ovf.md sections 1 to 5): on one line, in the engine's order.
// Pure: everything that has to be asked (sizes on disk, names of networks) comes in ready.
import type { AttachmentRecord, DiskRecord, ImageRecord, NicRecord, SnapshotRecord, VmRecord } from '../state/model';
import { element, escapeXml } from '../xml';
import { blankId, diskInterfaces, generalElements, nicModels, ovfDate } from './words';

export interface OvfVolume {
  readonly image: ImageRecord;
  readonly actualBytes: number;
}

export interface OvfSourceDisk {
  readonly disk: DiskRecord;
  readonly attachment: AttachmentRecord;
  /** Base first; empty for a LUN. A snapshot's configuration has the frozen leaf alone. */
  readonly volumes: readonly OvfVolume[];
}

export interface OvfSource {
  readonly vm: VmRecord;
  readonly clusterName: string;
  readonly dataCenterId: string;
  readonly nics: readonly (NicRecord & { readonly networkName: string; readonly profileName: string })[];
  readonly disks: readonly OvfSourceDisk[];
  /** Only in a VM's own configuration. */
  readonly snapshots: readonly SnapshotRecord[];
  /** A snapshot's configuration names no domains. */
  readonly withStorageIds: boolean;
  readonly exportedMs: number;
}

const namespaces = {
  'xmlns:ovf': 'http://schemas.dmtf.org/ovf/envelope/1/',
  'xmlns:rasd': 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData',
  'xmlns:vssd': 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData',
  'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
  'ovf:version': '4.5.0.0',
};
const formatUrls = { cow: 'http://www.gnome.org/~markmc/qcow-image-format.html', raw: 'http://www.vmware.com/specifications/vmdk.html#sparse' } as const;
const gib = 1024 ** 3;
const mib = 1024 ** 2;

function text(name: string, value: string | number | boolean): string {
  return element(name, escapeXml(String(value)));
}

function section(type: string, content: string, attributes: Readonly<Record<string, string>> = {}): string {
  return element('Section', content, { ...attributes, 'xsi:type': type });
}

export function writeOvf(source: OvfSource): string {
  const networks = [...new Set(source.nics.map((nic) => nic.networkName))].filter((name) => name !== '');
  const envelope = element('References', source.disks.map(files).join(''))
    + element('NetworkSection', text('Info', 'List of networks') + networks.map((name) => element('Network', '', { 'ovf:name': name })).join(''))
    + section('ovf:DiskSection_Type', text('Info', 'List of Virtual Disks') + source.disks.map(disks).join(''))
    + element('Content', general(source) + operatingSystem(source) + hardware(source) + snapshots(source), { 'ovf:id': 'out', 'xsi:type': 'ovf:VirtualSystem_Type' });
  return `<?xml version="1.0" encoding="UTF-8"?>${element('ovf:Envelope', envelope, namespaces)}`;
}

function href(image: ImageRecord): string {
  return `${image.diskId}/${image.id}`;
}

function files({ disk, volumes }: OvfSourceDisk): string {
  if (disk.kind === 'lun') {
    return element('File', '', { 'ovf:href': disk.id, 'ovf:id': disk.id, 'ovf:size': '0', 'ovf:description': disk.description, 'ovf:disk_storage_type': 'LUN', 'ovf:cinder_volume_type': '' });
  }
  return volumes.map(({ image, actualBytes }) => element('File', '', {
    'ovf:href': href(image), 'ovf:id': image.id, 'ovf:size': String(actualBytes), 'ovf:description': image.active ? 'Active VM' : disk.description,
    'ovf:disk_storage_type': 'IMAGE', 'ovf:cinder_volume_type': '',
  })).join('');
}

function disks(source: OvfSourceDisk): string {
  const { disk, attachment, volumes } = source;
  const shared = {
    'ovf:disk-interface': diskInterfaces[attachment.interface], 'ovf:read-only': String(attachment.readOnly), 'ovf:shareable': String(disk.shareable),
    'ovf:boot': String(attachment.bootable), 'ovf:pass-discard': String(attachment.passDiscard), 'ovf:incremental-backup': String(disk.incrementalBackup),
    'ovf:disk-alias': disk.alias, 'ovf:disk-description': disk.description, 'ovf:wipe-after-delete': String(disk.wipeAfterDelete),
  };
  if (disk.kind === 'lun') {
    const [unit] = disk.lun?.units ?? [];
    return element('Disk', '', { 'ovf:diskId': disk.id, 'ovf:fileRef': disk.id, 'ovf:plugged': String(attachment.active), 'ovf:lun_id': unit?.id ?? '', ...shared });
  }
  return volumes.map(({ image, actualBytes }) => element('Disk', '', {
    'ovf:diskId': image.id, 'ovf:size': String(Math.floor(disk.virtualBytes / gib)), 'ovf:actual_size': String(Math.floor(actualBytes / gib)),
    'ovf:vm_snapshot_id': image.snapshotId ?? blankId, 'ovf:parentRef': '', 'ovf:fileRef': href(image), 'ovf:format': formatUrls[image.format],
    'ovf:volume-format': image.format === 'cow' ? 'COW' : 'RAW', 'ovf:volume-type': disk.sparse || image.format === 'cow' ? 'Sparse' : 'Preallocated', ...shared,
  })).join('');
}

function general({ vm, clusterName, exportedMs }: OvfSource): string {
  const fromRecord: Readonly<Record<string, string>> = {
    Name: vm.name, Description: vm.description, Comment: vm.comment, CreationDate: ovfDate(vm.createdMs), ExportDate: ovfDate(exportedMs),
    DeleteProtected: String(vm.deleteProtected), Generation: String(vm.generation), VmType: String(vm.vmType), MinAllocatedMem: String(Math.floor(vm.guaranteedBytes / mib)),
    BiosType: String(vm.biosType), MaxMemorySizeMb: String(Math.floor(vm.maxMemoryBytes / mib)), ClusterName: clusterName, TemplateId: blankId, TemplateName: 'Blank',
  };
  return generalElements.map(([name]) => {
    const value = fromRecord[name] ?? vm.general[name];
    return value === undefined ? '' : text(name, value);
  }).join('');
}

function operatingSystem({ vm }: OvfSource): string {
  return section('ovf:OperatingSystemSection_Type', text('Info', 'Guest Operating System') + text('Description', vm.osType), { 'ovf:id': vm.id, 'ovf:required': 'false' });
}

function hardware(source: OvfSource): string {
  const { vm } = source;
  const cpus = vm.sockets * vm.cores * vm.threads;
  const memoryMib = Math.floor(vm.memoryBytes / mib);
  const cpu = item([
    ['rasd:Caption', `${cpus} virtual cpu`], ['rasd:Description', 'Number of virtual CPU'], ['rasd:InstanceId', 1], ['rasd:ResourceType', 3], ['rasd:num_of_sockets', vm.sockets],
    ['rasd:cpu_per_socket', vm.cores], ['rasd:threads_per_cpu', vm.threads], ['rasd:max_num_of_vcpus', 16], ['rasd:VirtualQuantity', cpus],
  ]);
  const memory = item([
    ['rasd:Caption', `${memoryMib} MB of memory`], ['rasd:Description', 'Memory Size'], ['rasd:InstanceId', 2], ['rasd:ResourceType', 4], ['rasd:AllocationUnits', 'MegaBytes'],
    ['rasd:VirtualQuantity', memoryMib],
  ]);
  return section('ovf:VirtualHardwareSection_Type', text('Info', `${cpus} CPU, ${memoryMib} Memory`)
    + element('System', text('vssd:VirtualSystemType', 'ENGINE 4.5.0.0')) + cpu + memory
    + source.disks.map((disk) => diskItems(disk, source)).join('') + source.nics.map(nicItem).join('') + vm.devices.join(''));
}

function item(fields: readonly (readonly [string, string | number | boolean])[]): string {
  return element('Item', fields.map(([name, value]) => text(name, value)).join(''));
}

function diskItems({ disk, attachment, volumes }: OvfSourceDisk, { withStorageIds, dataCenterId, exportedMs }: OvfSource): string {
  return volumes.map(({ image }) => item([
    ['rasd:Caption', disk.alias], ['rasd:InstanceId', image.id], ['rasd:ResourceType', 17], ['rasd:HostResource', href(image)],
    // A snapshot's configuration has the leaf alone, but still says what it stood on.
    ['rasd:Parent', image.parentId ?? blankId], ['rasd:Template', blankId], ['rasd:ApplicationList', ''],
    ...(withStorageIds ? [['rasd:StorageId', image.domainId], ['rasd:StoragePoolId', dataCenterId]] as const : []),
    ['rasd:CreationDate', ovfDate(image.createdMs)], ['rasd:LastModified', ovfDate(image.createdMs)], ['rasd:last_modified_date', ovfDate(exportedMs)],
    ['Type', 'disk'], ['Device', 'disk'], ['rasd:Address', ''], ['BootOrder', attachment.bootable ? 1 : 0], ['IsPlugged', attachment.active],
    ['IsReadOnly', attachment.readOnly], ['Alias', `ua-${disk.id}`],
  ])).join('');
}

function nicItem(nic: OvfSource['nics'][number]): string {
  return item([
    ['rasd:Caption', `Ethernet adapter on ${nic.networkName === '' ? '[No Network]' : nic.networkName}`], ['rasd:InstanceId', nic.id], ['rasd:ResourceType', 10],
    ['rasd:OtherResourceType', nic.profileName], ['rasd:ResourceSubType', nicModels[nic.interface]], ['rasd:Connection', nic.networkName], ['rasd:Linked', nic.linked],
    ['rasd:Name', nic.name], ['rasd:ElementName', nic.name], ['rasd:MACAddress', nic.mac], ['rasd:speed', 10_000], ['Type', 'interface'], ['Device', 'bridge'],
    ['rasd:Address', ''], ['BootOrder', 0], ['IsPlugged', nic.plugged], ['IsReadOnly', false], ['Alias', ''],
  ]);
}

function snapshots(source: OvfSource): string {
  if (source.snapshots.length === 0) return '';
  return section('ovf:SnapshotsSection_Type', source.snapshots.map((snapshot) => element('Snapshot',
    text('Type', snapshot.type.toUpperCase()) + text('Description', snapshot.description) + text('CreationDate', ovfDate(snapshot.createdMs))
    + (snapshot.configuration === undefined ? '' : text('VmConfiguration', Buffer.from(snapshot.configuration).toString('base64'))),
    { 'ovf:id': snapshot.id })).join(''));
}

/** The hardware of a VM that is made from Blank. */
export function blankDevices(newId: () => string): string[] {
  const device = (type: number, caption: string, kind: string, name: string, readOnly = false, extra: readonly (readonly [string, string | number | boolean])[] = []): string =>
    item([
      ['rasd:Caption', caption], ['rasd:InstanceId', newId()], ['rasd:ResourceType', type], ...extra, ['Type', kind], ['Device', name], ['rasd:Address', ''], ['BootOrder', 0],
      ['IsPlugged', true], ['IsReadOnly', readOnly], ['Alias', ''],
    ]);
  return [
    item([['rasd:Caption', 'USB Controller'], ['rasd:InstanceId', 3], ['rasd:ResourceType', 23], ['rasd:UsbPolicy', 'DISABLED']]),
    device(20, 'Graphical Controller', 'video', 'vga', false, [['rasd:VirtualQuantity', 1], ['rasd:SinglePciQxl', false]]),
    device(26, 'Graphical Framebuffer', 'graphics', 'vnc'),
    device(15, 'CDROM', 'disk', 'cdrom', true),
    device(0, 'SCSI Controller', 'controller', 'virtio-scsi'),
    device(0, 'Serial Controller', 'controller', 'virtio-serial'),
  ];
}
