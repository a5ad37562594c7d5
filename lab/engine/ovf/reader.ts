// Reads an oVirt-flavour OVF the way the engine's reader does: tolerant about order and unknown elements, crashing
// (here: OvfError) on exactly the things that were seen to crash it (engine-rules.md section 7, ovf.md).
import type { DiskInterface, NicModel } from '../state/model';
import { child, childText, parseXml, renderXml, XmlError, type XmlNode } from '../xml';
import { diskInterfaces, generalElements, keyOf, nicModels } from './words';

export interface OvfDisk {
  readonly diskId: string;
  readonly interface: DiskInterface;
  readonly bootable: boolean;
  readonly readOnly: boolean;
  readonly passDiscard: boolean;
  readonly plugged: boolean;
}

export interface OvfNic {
  readonly id: string;
  readonly name: string;
  readonly mac: string;
  readonly model: NicModel;
  readonly network: string;
  readonly profile: string;
  readonly linked: boolean;
  readonly plugged: boolean;
}

export interface OvfVm {
  readonly vmId: string;
  readonly name: string;
  readonly description: string;
  readonly comment: string;
  readonly osType: string;
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
  readonly memoryMib: number;
  readonly minMemoryMib?: number;
  readonly maxMemoryMib?: number;
  readonly biosType: number;
  readonly vmType: number;
  readonly deleteProtected: boolean;
  /** Simple elements of Content that the engine would write back, as they came. */
  readonly general: Readonly<Record<string, string>>;
  readonly disks: readonly OvfDisk[];
  readonly nics: readonly OvfNic[];
  /** Items that are neither CPU, memory, disk nor NIC, as text. */
  readonly devices: readonly string[];
}

export class OvfError extends Error {}

export function readOvf(text: string): OvfVm {
  const root = readRoot(text);
  const content = need(child(root, 'Content'), 'content is missing');
  const sections = content.children.filter((node) => node.name === 'Section');
  if (sections.some((section) => section.attributes['xsi:type'] === undefined)) throw new OvfError('a section of content has no xsi:type');
  const os = need(sectionOf(sections, 'ovf:OperatingSystemSection_Type'), 'the operating system section is missing');
  const items = sectionOf(sections, 'ovf:VirtualHardwareSection_Type')?.children.filter((node) => node.name === 'Item') ?? [];
  checkProperties(content);
  const simple = simpleElements(content);
  return {
    vmId: need(os.attributes['ovf:id'], 'the operating system section has no id').toLowerCase(),
    name: simple['Name'] ?? '',
    description: simple['Description'] ?? '',
    comment: simple['Comment'] ?? '',
    osType: childText(os, 'Description')?.trim() ?? 'other',
    ...readCpu(items),
    ...readMemory(items, simple),
    biosType: number(simple['BiosType'], 0),
    vmType: number(simple['VmType'], 1),
    deleteProtected: simple['DeleteProtected'] === 'true',
    general: Object.fromEntries(
      generalElements.flatMap(([name]) => {
        const value = simple[name];
        return value === undefined ? [] : [[name, value]];
      }),
    ),
    disks: readDisks(root, items),
    nics: ofType(items, '10').map(readNic),
    devices: items.filter((item) => !['3', '4', '10', '17'].includes(resourceType(item))).map(readDevice),
  };
}

function readRoot(text: string): XmlNode {
  try {
    const root = parseXml(text);
    if (root.name !== 'ovf:Envelope') throw new OvfError('the root element is not ovf:envelope');
    if (root.attributes['xmlns'] !== undefined) throw new OvfError('a default namespace hides every element');
    return root;
  } catch (error) {
    if (error instanceof XmlError) throw new OvfError(`not well-formed: ${error.message}`);
    throw error;
  }
}

function need<T>(value: T | undefined, problem: string): T {
  if (value === undefined) throw new OvfError(problem);
  return value;
}

function sectionOf(sections: readonly XmlNode[], type: string): XmlNode | undefined {
  return sections.find((section) => section.attributes['xsi:type'] === type);
}

function simpleElements(content: XmlNode): Readonly<Record<string, string>> {
  return Object.fromEntries(
    content.children.filter((node) => node.name !== 'Section' && node.children.length === 0).map((node) => [node.name, node.text]),
  );
}

/** White space where key=value pairs should be is a 400 (observed on PredefinedProperties). */
function checkProperties(content: XmlNode): void {
  const properties = childText(content, 'PredefinedProperties');
  if (properties !== undefined && properties !== '' && properties.trim() === '') throw new OvfError('invalid custom properties');
}

/** Of the VM, not of its devices; a configuration that cannot be read has none that anybody could want. */
export function hasCustomProperties(text: string): boolean {
  try {
    const content = child(readRoot(text), 'Content');
    return ['PredefinedProperties', 'UserDefinedProperties'].some((name) => content !== undefined && (childText(content, name) ?? '').trim() !== '');
  } catch (error) {
    if (error instanceof OvfError) return false;
    throw error;
  }
}

function resourceType(item: XmlNode): string {
  return need(childText(item, 'rasd:ResourceType'), 'an item has no resource type').trim();
}

function ofType(items: readonly XmlNode[], type: string): XmlNode[] {
  return items.filter((item) => resourceType(item) === type);
}

function number(text: string | undefined, otherwise: number): number {
  const value = Number(text);
  return text === undefined || text.trim() === '' || Number.isNaN(value) ? otherwise : value;
}

function readCpu(items: readonly XmlNode[]): Pick<OvfVm, 'sockets' | 'cores' | 'threads'> {
  const [cpu] = ofType(items, '3');
  const read = (name: string): number => (cpu === undefined ? 1 : number(childText(cpu, name), 1));
  return { sockets: read('rasd:num_of_sockets'), cores: read('rasd:cpu_per_socket'), threads: read('rasd:threads_per_cpu') };
}

function readMemory(
  items: readonly XmlNode[],
  simple: Readonly<Record<string, string>>,
): Pick<OvfVm, 'memoryMib' | 'minMemoryMib' | 'maxMemoryMib'> {
  const [memory] = ofType(items, '4');
  const optional = (name: string): number | undefined => (simple[name] === undefined ? undefined : number(simple[name], 0));
  const [min, max] = [optional('MinAllocatedMem'), optional('MaxMemorySizeMb')];
  return {
    memoryMib: memory === undefined ? 1024 : number(childText(memory, 'rasd:VirtualQuantity'), 1024),
    ...(min === undefined ? {} : { minMemoryMib: min }),
    ...(max === undefined ? {} : { maxMemoryMib: max }),
  };
}

/** A disk is attached when it has a Disk and a File; an Item 17 is optional, but one without a Disk crashes. */
function readDisks(root: XmlNode, items: readonly XmlNode[]): OvfDisk[] {
  const files = (child(root, 'References')?.children ?? []).filter((node) => node.name === 'File');
  if (files.some((file) => file.attributes['ovf:description'] === undefined)) throw new OvfError('a file has no description');
  const section = root.children.find((node) => node.attributes['xsi:type'] === 'ovf:DiskSection_Type' || node.name === 'DiskSection');
  const disks = (section?.children ?? []).filter((node) => node.name === 'Disk');
  const diskItems = ofType(items, '17');
  for (const item of diskItems) checkDiskItem(item, disks);
  return disks.flatMap((disk) => readDisk(disk, files, diskItems));
}

function checkDiskItem(item: XmlNode, disks: readonly XmlNode[]): void {
  if (child(item, 'rasd:Parent') === undefined) throw new OvfError('a disk item has no parent');
  checkDevice(item);
  const imageId = childText(item, 'rasd:InstanceId');
  if (!disks.some((disk) => disk.attributes['ovf:diskId'] === imageId)) throw new OvfError(`the disk item ${imageId ?? ''} has no disk`);
}

function readDisk(disk: XmlNode, files: readonly XmlNode[], items: readonly XmlNode[]): OvfDisk[] {
  const { attributes } = disk;
  const imageId = attributes['ovf:diskId'];
  const file = files.find((candidate) => candidate.attributes['ovf:id'] === imageId);
  const word = attributes['ovf:disk-interface'];
  if (file === undefined || word === undefined) return [];
  const item = items.find((candidate) => childText(candidate, 'rasd:InstanceId') === imageId);
  const resource = (item === undefined ? undefined : childText(item, 'rasd:HostResource')) ?? file.attributes['ovf:href'] ?? '';
  return [
    {
      diskId: (resource.split('/')[0] ?? '').trim().toLowerCase(),
      interface: need(keyOf(diskInterfaces, word), `unknown disk interface ${word}`),
      bootable: attributes['ovf:boot'] === 'true',
      readOnly: attributes['ovf:read-only'] === 'true',
      passDiscard: attributes['ovf:pass-discard'] === 'true',
      plugged: attributes['ovf:plugged'] !== 'false',
    },
  ];
}

function readNic(item: XmlNode): OvfNic {
  checkDevice(item);
  const model = childText(item, 'rasd:ResourceSubType')?.trim() ?? '3';
  return {
    id: need(childText(item, 'rasd:InstanceId'), 'a network interface has no instance id').trim().toLowerCase(),
    name: childText(item, 'rasd:Name') ?? '',
    mac: childText(item, 'rasd:MACAddress')?.trim() ?? '',
    model: need(keyOf(nicModels, model), `unknown network interface type ${model}`),
    network: need(childText(item, 'rasd:Connection'), 'a network interface has no connection'),
    profile: childText(item, 'rasd:OtherResourceType') ?? '',
    linked: childText(item, 'rasd:Linked') !== 'false',
    plugged: childText(item, 'IsPlugged') !== 'false',
  };
}

function checkDevice(item: XmlNode): void {
  if (child(item, 'SnapshotId') !== undefined && child(item, 'CustomProperties') === undefined)
    throw new OvfError('a device has a snapshot id without custom properties');
}

function readDevice(item: XmlNode): string {
  checkDevice(item);
  return renderXml(item);
}
