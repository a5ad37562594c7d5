// The configuration that a restore sends, made from the one that was saved: identity as the restore asks, no disks, nothing
// that points into the engine it came from. Everything else, known to us or not, stays as it is. Pure: ids come in.
import type { Element } from '@xmldom/xmldom';
import { HoldfastError } from '../failures';
import { uuidSchema, zeroUuid } from '../ids';
import { childrenOf, corrupt, hardwareItems, type OvfDocument, parseOvf, rasdOf, removeElement, resourceTypes, sectionsOf, serializeOvf, textOf } from './document';
import { vmIdOf } from './read';

export interface RewriteRequest {
  /** The restored VM's id: a new one, or the saved one when the original is gone. */
  readonly vmId: string;
  readonly name: string;
  /** `new`: fresh NIC ids (a used one is a database error) and, unless `nicChanges` says otherwise, empty MACs. `keep`: as saved. */
  readonly nics: 'new' | 'keep';
  /** One id per NIC for `nics: 'new'`, in the order of `readOvf(..).nics`; fixed ids make a repeated rewrite give the same text. */
  readonly newIds?: readonly string[] | (() => string);
  /** By the NIC's place. An empty MAC: the engine takes one from its pool. An empty network: none. */
  readonly nicChanges?: readonly { readonly mac: string; readonly network: string; readonly profile: string }[];
  /** Back to where it was taken away a moment ago: what names objects of that engine (pinning, lease, groups, users) stays. */
  readonly samePlace?: boolean;
  /** Always: the engine attaches disks named in an OVF without saying when it could not; the restore attaches each by its own call. */
  readonly stripDisks: true;
}

/** Sections of Content that describe the place the VM came from. */
const foreignSections = ['AffinityGroupsSection', 'AffinityLabelsSection', 'UserDomainsSection', 'VmExternalDataSection'] as const;
/** Elements of Content that name objects of the old engine: quota, lease domain, hosts, host CPUs. */
const foreignElements = ['quota_id', 'LeaseDomainId', 'DedicatedVmForVds', 'CpuPinning'] as const;
/** An empty list that has been pretty-printed is refused by the engine. */
const propertyLists = ['PredefinedProperties', 'UserDefinedProperties'] as const;
const manualPinningPolicy = '1';

export function rewriteOvf(xml: string, request: RewriteRequest): string {
  const ovf = parseOvf(xml);
  vmIdOf(ovf);
  checkRequest(request);
  identify(ovf, request);
  stripDisks(ovf);
  dropPast(ovf);
  if (!request.samePlace) dropPlace(ovf);
  rewriteNics(ovf, request);
  changeNics(ovf, request);
  return serializeOvf(ovf);
}

function identify({ document, content, operatingSystem }: OvfDocument, { vmId, name }: RewriteRequest): void {
  operatingSystem.setAttribute('ovf:id', vmId);
  const saved = childrenOf(content, 'Name')[0];
  // First, because the reader of OVF stores takes the first literal <Name> of the file.
  const element = saved ?? content.insertBefore(document.createElement('Name'), content.firstChild);
  element.textContent = name;
  for (const templateId of childrenOf(content, 'TemplateId')) templateId.textContent = zeroUuid;
  for (const templateName of childrenOf(content, 'TemplateName')) templateName.textContent = 'Blank';
}

function stripDisks(ovf: OvfDocument): void {
  const files = childrenOf(ovf.envelope, 'References').flatMap((references) => childrenOf(references, 'File'));
  const disks = sectionsOf(ovf.envelope, 'DiskSection').flatMap((section) => childrenOf(section, 'Disk'));
  for (const element of [...files, ...disks, ...hardwareItems(ovf, resourceTypes.disk)]) removeElement(element);
}

function dropPast({ content }: OvfDocument): void {
  const items = sectionsOf(content, 'VirtualHardwareSection').flatMap((section) => childrenOf(section, 'Item'));
  for (const element of [...sectionsOf(content, 'SnapshotsSection'), ...items.flatMap((item) => childrenOf(item, 'SnapshotId'))]) removeElement(element);
  for (const list of propertyLists.flatMap((name) => childrenOf(content, name))) {
    if (textOf(list) === '') list.textContent = '';
  }
}

function dropPlace({ content }: OvfDocument): void {
  for (const element of [...foreignSections.flatMap((type) => sectionsOf(content, type)), ...foreignElements.flatMap((name) => childrenOf(content, name))]) removeElement(element);
  // Manual pinning without pins means nothing.
  for (const policy of childrenOf(content, 'CpuPinningPolicy')) {
    if (textOf(policy) === manualPinningPolicy) policy.textContent = '0';
  }
}

function rewriteNics(ovf: OvfDocument, { nics, newIds = [] }: RewriteRequest): void {
  if (nics === 'keep') return;
  const seen = new Set<string>();
  hardwareItems(ovf, resourceTypes.nic).forEach((item, index) => {
    const id = uuidSchema.safeParse(typeof newIds === 'function' ? newIds() : newIds[index]);
    if (!id.success || seen.has(id.data)) throw new HoldfastError('input.invalid', `Network card ${index + 1} of the VM needs an id of its own to be restored with.`);
    seen.add(id.data);
    const name = textOf(rasdOf(item, 'Name')) ?? String(index + 1);
    required(item, 'InstanceId', name).textContent = id.data;
    const mac = rasdOf(item, 'MACAddress');
    if (mac !== undefined) mac.textContent = '';
  });
}

/** The NetworkSection is never read by an engine, so it stays what it was. */
function changeNics(ovf: OvfDocument, { nicChanges = [] }: RewriteRequest): void {
  hardwareItems(ovf, resourceTypes.nic).forEach((item, index) => {
    const name = textOf(rasdOf(item, 'Name')) ?? String(index + 1);
    const connection = required(item, 'Connection', name);
    const change = nicChanges[index];
    if (change === undefined) return;
    connection.textContent = change.network;
    const profile = rasdOf(item, 'OtherResourceType');
    if (profile !== undefined) profile.textContent = change.profile;
    if (change.mac !== '' || rasdOf(item, 'MACAddress') !== undefined) required(item, 'MACAddress', name).textContent = change.mac;
  });
}

function required(item: Element, name: string, nic: string): Element {
  const element = rasdOf(item, name);
  if (element === undefined) throw corrupt(`its network card "${nic}" has no rasd:${name}`);
  return element;
}

function checkRequest({ vmId, name }: RewriteRequest): void {
  if (!uuidSchema.safeParse(vmId).success) throw new HoldfastError('input.invalid', `"${vmId}" cannot be the id of a VM: it must be a UUID in lower case.`);
  // Control characters and lone surrogates cannot be written in XML at all.
  if (name.trim() === '' || name !== name.trim() || !/^[^\p{Cc}\p{Cs}\uFFFE\uFFFF]+$/u.test(name)) {
    throw new HoldfastError('input.invalid', `${JSON.stringify(name)} cannot be the name of a VM: it is empty, has spaces around it or control characters in it.`);
  }
}
