// The hardware section of an OVF: processor, memory, disks and network interfaces of a VM, and what a new VM has besides.
import { blankId, nicModels, ovfDate } from './words';
import { href, mib, section, text } from './parts';
import type { OvfSource, OvfSourceDisk } from './source';
import { element } from '../xml';

export function hardware(source: OvfSource): string {
  const { vm } = source;
  const cpus = vm.sockets * vm.cores * vm.threads;
  const memoryMib = Math.floor(vm.memoryBytes / mib);
  const cpu = item([
    ['rasd:Caption', `${cpus} virtual cpu`],
    ['rasd:Description', 'Number of virtual CPU'],
    ['rasd:InstanceId', 1],
    ['rasd:ResourceType', 3],
    ['rasd:num_of_sockets', vm.sockets],
    ['rasd:cpu_per_socket', vm.cores],
    ['rasd:threads_per_cpu', vm.threads],
    ['rasd:max_num_of_vcpus', 16],
    ['rasd:VirtualQuantity', cpus],
  ]);
  const memory = item([
    ['rasd:Caption', `${memoryMib} MB of memory`],
    ['rasd:Description', 'Memory Size'],
    ['rasd:InstanceId', 2],
    ['rasd:ResourceType', 4],
    ['rasd:AllocationUnits', 'MegaBytes'],
    ['rasd:VirtualQuantity', memoryMib],
  ]);
  return section(
    'ovf:VirtualHardwareSection_Type',
    text('Info', `${cpus} CPU, ${memoryMib} Memory`) +
      element('System', text('vssd:VirtualSystemType', 'ENGINE 4.5.0.0')) +
      cpu +
      memory +
      source.disks.map((disk) => diskItems(disk, source)).join('') +
      source.nics.map(nicItem).join('') +
      vm.devices.join(''),
  );
}

function item(fields: readonly (readonly [string, string | number | boolean])[]): string {
  return element('Item', fields.map(([name, value]) => text(name, value)).join(''));
}

function diskItems({ disk, attachment, volumes }: OvfSourceDisk, { withStorageIds, dataCenterId, exportedMs }: OvfSource): string {
  return volumes
    .map(({ image, templateImageId }) =>
      item([
        ['rasd:Caption', disk.alias],
        ['rasd:InstanceId', image.id],
        ['rasd:ResourceType', 17],
        ['rasd:HostResource', href(image)],
        // A snapshot's configuration has the leaf alone, but still says what it stood on.
        ['rasd:Parent', image.parentId ?? blankId],
        ['rasd:Template', templateImageId ?? blankId],
        ['rasd:ApplicationList', ''],
        ...(withStorageIds
          ? ([
              ['rasd:StorageId', image.domainId],
              ['rasd:StoragePoolId', dataCenterId],
            ] as const)
          : []),
        ['rasd:CreationDate', ovfDate(image.createdMs)],
        ['rasd:LastModified', ovfDate(image.createdMs)],
        ['rasd:last_modified_date', ovfDate(exportedMs)],
        ['Type', 'disk'],
        ['Device', 'disk'],
        ['rasd:Address', ''],
        ['BootOrder', attachment.bootable ? 1 : 0],
        ['IsPlugged', attachment.active],
        ['IsReadOnly', attachment.readOnly],
        ['Alias', `ua-${disk.id}`],
      ]),
    )
    .join('');
}

function nicItem(nic: OvfSource['nics'][number]): string {
  return item([
    ['rasd:Caption', `Ethernet adapter on ${nic.networkName === '' ? '[No Network]' : nic.networkName}`],
    ['rasd:InstanceId', nic.id],
    ['rasd:ResourceType', 10],
    ['rasd:OtherResourceType', nic.profileName],
    ['rasd:ResourceSubType', nicModels[nic.interface]],
    ['rasd:Connection', nic.networkName],
    ['rasd:Linked', nic.linked],
    ['rasd:Name', nic.name],
    ['rasd:ElementName', nic.name],
    ['rasd:MACAddress', nic.mac],
    ['rasd:speed', 10_000],
    ['Type', 'interface'],
    ['Device', 'bridge'],
    ['rasd:Address', ''],
    ['BootOrder', 0],
    ['IsPlugged', nic.plugged],
    ['IsReadOnly', false],
    ['Alias', ''],
  ]);
}

/** The hardware of a VM that is made from Blank. */
export function blankDevices(newId: () => string): string[] {
  const device = (
    type: number,
    caption: string,
    kind: string,
    name: string,
    readOnly = false,
    extra: readonly (readonly [string, string | number | boolean])[] = [],
  ): string =>
    item([
      ['rasd:Caption', caption],
      ['rasd:InstanceId', newId()],
      ['rasd:ResourceType', type],
      ...extra,
      ['Type', kind],
      ['Device', name],
      ['rasd:Address', ''],
      ['BootOrder', 0],
      ['IsPlugged', true],
      ['IsReadOnly', readOnly],
      ['Alias', ''],
    ]);
  return [
    item([
      ['rasd:Caption', 'USB Controller'],
      ['rasd:InstanceId', 3],
      ['rasd:ResourceType', 23],
      ['rasd:UsbPolicy', 'DISABLED'],
    ]),
    device(20, 'Graphical Controller', 'video', 'vga', false, [
      ['rasd:VirtualQuantity', 1],
      ['rasd:SinglePciQxl', false],
    ]),
    device(26, 'Graphical Framebuffer', 'graphics', 'vnc'),
    device(15, 'CDROM', 'disk', 'cdrom', true),
    device(0, 'SCSI Controller', 'controller', 'virtio-scsi'),
    device(0, 'Serial Controller', 'controller', 'virtio-serial'),
  ];
}
