// Configurations as an engine writes them (one line, `<a></a>`, sections in its order), built from a few facts about a VM.
import { HoldfastError } from '../../domain/failures';

export interface SampleDisk {
  readonly diskId: string;
  readonly imageId: string;
  readonly alias: string;
  readonly interface?: string;
  readonly boot?: boolean;
  readonly parentImageId?: string;
}

export interface SampleNic {
  readonly id: string;
  readonly name: string;
  readonly mac: string;
  readonly network: string;
}

export interface Sample {
  readonly vmId: string;
  readonly name: string;
  readonly disks: readonly SampleDisk[];
  readonly nics: readonly SampleNic[];
  /** Raw XML put into Content, before its sections. */
  readonly extraContent?: string;
  /** Raw XML put after Content's own sections. */
  readonly extraSections?: string;
  /** Put between all elements of Envelope, Content and hardware, as a pretty-printer would. */
  readonly gap?: string;
}

const zero = '00000000-0000-0000-0000-000000000000';
export const escapeXml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const file = ({ diskId, imageId }: SampleDisk): string =>
  `<File ovf:href="${diskId}/${imageId}" ovf:id="${imageId}" ovf:size="2147483648" ovf:description="Active VM" ovf:disk_storage_type="IMAGE" ovf:cinder_volume_type=""></File>`;

const disk = ({ diskId, imageId, alias, interface: bus = 'VirtIO_SCSI', boot = false }: SampleDisk): string =>
  `<Disk ovf:diskId="${imageId}" ovf:size="20" ovf:actual_size="2" ovf:vm_snapshot_id="5a000000-0000-4000-8000-000000000001" ovf:parentRef="" ovf:fileRef="${diskId}/${imageId}" ` +
  'ovf:format="http://www.gnome.org/~markmc/qcow-image-format.html" ovf:volume-format="COW" ovf:volume-type="Sparse" ' +
  `ovf:disk-interface="${bus}" ovf:read-only="false" ovf:shareable="false" ovf:boot="${String(boot)}" ovf:pass-discard="true" ovf:incremental-backup="true" ` +
  `ovf:disk-alias="${escapeXml(alias)}" ovf:disk-description="a &quot;quoted&quot; one" ovf:wipe-after-delete="false"></Disk>`;

const diskItem = ({ diskId, imageId, alias, parentImageId = zero }: SampleDisk): string =>
  `<Item><rasd:Caption>${escapeXml(alias)}</rasd:Caption><rasd:InstanceId>${imageId}</rasd:InstanceId><rasd:ResourceType>17</rasd:ResourceType><rasd:HostResource>${diskId}/${imageId}</rasd:HostResource>` +
  `<rasd:Parent>${parentImageId}</rasd:Parent><rasd:Template>${zero}</rasd:Template><rasd:ApplicationList></rasd:ApplicationList><Type>disk</Type><Device>disk</Device>` +
  `<rasd:Address></rasd:Address><BootOrder>1</BootOrder><IsPlugged>true</IsPlugged><IsReadOnly>false</IsReadOnly><Alias>ua-${diskId}</Alias></Item>`;

const nicItem = ({ id, name, mac, network }: SampleNic): string =>
  `<Item><rasd:Caption>Ethernet adapter on ${escapeXml(network)}</rasd:Caption><rasd:InstanceId>${id}</rasd:InstanceId><rasd:ResourceType>10</rasd:ResourceType><rasd:OtherResourceType>${escapeXml(network)}</rasd:OtherResourceType>` +
  `<rasd:ResourceSubType>3</rasd:ResourceSubType><rasd:Connection>${escapeXml(network)}</rasd:Connection><rasd:Linked>true</rasd:Linked><rasd:Name>${escapeXml(name)}</rasd:Name><rasd:ElementName>${escapeXml(name)}</rasd:ElementName>` +
  `<rasd:MACAddress>${mac}</rasd:MACAddress><rasd:speed>10000</rasd:speed><Type>interface</Type><Device>bridge</Device><rasd:Address>{type=pci, slot=0x06, bus=0x00, domain=0x0000, function=0x0}</rasd:Address>` +
  '<BootOrder>0</BootOrder><IsPlugged>true</IsPlugged><IsReadOnly>false</IsReadOnly><Alias></Alias><CustomProperties></CustomProperties><SnapshotId>5a000000-0000-4000-8000-000000000001</SnapshotId></Item>';

const otherItems = [
  '<Item><rasd:Caption>2 virtual cpu</rasd:Caption><rasd:InstanceId>1</rasd:InstanceId><rasd:ResourceType>3</rasd:ResourceType><rasd:num_of_sockets>2</rasd:num_of_sockets></Item>',
  '<Item><rasd:Caption>CDROM</rasd:Caption><rasd:InstanceId>b1000000-0000-4000-8000-000000000003</rasd:InstanceId><rasd:ResourceType>15</rasd:ResourceType><Type>disk</Type><Device>cdrom</Device></Item>',
  '<Item><rasd:ResourceType>0</rasd:ResourceType><rasd:InstanceId>b1000000-0000-4000-8000-000000000004</rasd:InstanceId><Type>controller</Type><Device>virtio-scsi</Device></Item>',
];

export function ovfOf({ vmId, name, disks, nics, extraContent = '', extraSections = '', gap = '' }: Sample): string {
  const hardware = [...otherItems, ...disks.map(diskItem), ...nics.map(nicItem)];
  const content = [
    `<Name>${escapeXml(name)}</Name>`,
    '<Description></Description>',
    `<PredefinedProperties>${gap}</PredefinedProperties>`,
    '<ClusterName>Default</ClusterName>',
    '<TemplateId>7e000000-0000-4000-8000-000000000001</TemplateId>',
    '<TemplateName>golden</TemplateName>',
    extraContent,
    `<Section ovf:id="${vmId}" ovf:required="false" xsi:type="ovf:OperatingSystemSection_Type"><Info>Guest Operating System</Info><Description>rhel_9x64</Description></Section>`,
    `<Section xsi:type="ovf:VirtualHardwareSection_Type"><Info>2 CPU, 1024 Memory</Info>${gap}${hardware.join(gap)}${gap}</Section>`,
    extraSections,
  ].filter((element) => element !== '');
  const envelope = [
    `<References>${gap}${disks.map(file).join(gap)}${gap}</References>`,
    `<NetworkSection><Info>List of networks</Info>${nics.map((nic) => `<Network ovf:name="${escapeXml(nic.network)}"></Network>`).join('')}</NetworkSection>`,
    `<Section xsi:type="ovf:DiskSection_Type"><Info>List of Virtual Disks</Info>${gap}${disks.map(disk).join(gap)}${gap}</Section>`,
    `<Content ovf:id="out" xsi:type="ovf:VirtualSystem_Type">${gap}${content.join(gap)}${gap}</Content>`,
  ];
  return (
    '<?xml version="1.0" encoding="UTF-8"?><ovf:Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1/" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" ' +
    'xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ovf:version="4.5.0.0">' +
    `${gap}${envelope.join(gap)}${gap}</ovf:Envelope>`
  );
}

/** Everything that points into the engine the VM came from. */
export const foreignContent =
  '<quota_id>a0000000-0000-4000-8000-00000000000a</quota_id><LeaseDomainId>a0000000-0000-4000-8000-00000000000b</LeaseDomainId>' +
  '<DedicatedVmForVds>a0000000-0000-4000-8000-00000000000c</DedicatedVmForVds><DedicatedVmForVds>a0000000-0000-4000-8000-00000000000d</DedicatedVmForVds><CpuPinning>0#1</CpuPinning><CpuPinningPolicy>1</CpuPinningPolicy>';
export const foreignSections =
  '<Section xsi:type="ovf:SnapshotsSection_Type"><Snapshot ovf:id="a0000000-0000-4000-8000-00000000000e"><Type>ACTIVE</Type></Snapshot></Section>' +
  '<Section xsi:type="ovf:AffinityGroupsSection_Type"><AffinityGroup ovf:name="together"></AffinityGroup></Section><Section xsi:type="ovf:AffinityLabelsSection_Type"><AffinityLabel ovf:name="rack1"></AffinityLabel></Section>' +
  '<Section xsi:type="ovf:UserDomainsSection_Type"><User><UserDomain>anna@internal</UserDomain></User></Section>' +
  '<Section xsi:type="ovf:VmExternalDataSection_Type"><VmExternalDataItem kind="tpm"><VmExternalDataContent>c2VjcmV0</VmExternalDataContent></VmExternalDataItem></Section>';

export const demo: Sample = {
  vmId: 'f0000000-0000-4000-8000-000000000001',
  name: 'demo',
  disks: [
    { diskId: 'd1000000-0000-4000-8000-000000000001', imageId: 'a1000000-0000-4000-8000-000000000001', alias: 'demo_Disk1', boot: true },
    { diskId: 'd1000000-0000-4000-8000-000000000002', imageId: 'a1000000-0000-4000-8000-000000000002', alias: 'demo_Disk2', interface: 'VirtIO' },
  ],
  nics: [
    { id: 'e1000000-0000-4000-8000-000000000001', name: 'nic1', mac: '56:6f:00:00:00:01', network: 'ovirtmgmt' },
    { id: 'e1000000-0000-4000-8000-000000000002', name: 'nic2', mac: '56:6f:00:00:00:02', network: 'storage net' },
  ],
};

/** The error that a call ends with. */
export function failureOf(call: () => unknown): { readonly code: string; readonly message: string } {
  try {
    call();
  } catch (error) {
    if (error instanceof HoldfastError) return error;
    throw error;
  }
  throw new Error('the call was expected to fail');
}
