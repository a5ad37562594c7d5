// An OVF as a checked XML document, and the few ways in which Holdfast looks things up in it. oVirt's reader matches the
// prefixes `ovf:` and `xsi:` literally, knows elements without a namespace by name and `rasd:` ones by URI: so does this.
import { DOMParser, type Document, type Element, type Node, XMLSerializer } from '@xmldom/xmldom';
import { HoldfastError } from '../failures';

const rasdUri = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData';

export const resourceTypes = { nic: '10', disk: '17' } as const;

/** The parts that are always there; oVirt's reader cannot do without them either. */
export interface OvfDocument {
  readonly document: Document;
  readonly envelope: Element;
  readonly content: Element;
  /** Its `ovf:id` is the VM's id. */
  readonly operatingSystem: Element;
}

export function corrupt(what: string): HoldfastError {
  return new HoldfastError('repository.corrupt', `The saved configuration (OVF) cannot be used: ${what}. Restore from another backup, or create the VM by hand and attach the disks.`);
}

export function parseOvf(xml: string): OvfDocument {
  const document = parseXml(xml);
  const envelope = document.documentElement;
  if (envelope?.nodeName !== 'ovf:Envelope') throw corrupt(`its root is "${envelope?.nodeName ?? 'missing'}" instead of "ovf:Envelope" (an OVA is not supported)`);
  if (envelope.hasAttribute('xmlns')) throw corrupt('it has a default namespace, in which oVirt finds nothing');
  const content = childrenOf(envelope, 'Content')[0];
  if (content === undefined) throw corrupt('it has no Content element');
  const operatingSystem = sectionsOf(content, 'OperatingSystemSection').find((section) => section.hasAttribute('ovf:id'));
  if (operatingSystem === undefined) throw corrupt('it has no operating system section with an ovf:id (the id of the VM)');
  return { document, envelope, content, operatingSystem };
}

function parseXml(xml: string): Document {
  let document: Document;
  try {
    document = new DOMParser({
      // The default also turns U+0085 and U+2028 into line feeds, which is XML 1.1 and would change descriptions.
      normalizeLineEndings: (text) => text.replace(/\r\n?/g, '\n'),
      // Its warnings are about broken XML too (a missing quote), except for one about U+FFFD, which is a character like others.
      onError: (_level, message) => {
        if (!message.startsWith('Unicode replacement character')) throw new Error(message);
      },
    }).parseFromString(xml.replace(/^\uFEFF/, ''), 'text/xml');
  } catch (cause) {
    throw corrupt(`it is not well-formed XML (${String(cause).split('\n')[0] ?? ''})`);
  }
  // The engine writes none; one from elsewhere could name entities outside of the document.
  if (document.doctype !== null) throw corrupt('it has a document type declaration');
  return document;
}

export function serializeOvf({ document }: OvfDocument): string {
  return new XMLSerializer().serializeToString(document);
}

const isElement = (node: Node): node is Element => node.nodeType === 1;

/** Child elements without a namespace; all of them when no name is given. */
export function childrenOf(parent: Element, name?: string): readonly Element[] {
  const elements = Array.from(parent.childNodes).filter(isElement);
  return name === undefined ? elements : elements.filter((element) => element.nodeName === name);
}

/** Sections of a type, in both spellings: `<Section xsi:type="ovf:X_Type">` and `<X>`. */
export function sectionsOf(parent: Element, type: string): readonly Element[] {
  return childrenOf(parent).filter((element) => element.nodeName === type || (element.nodeName === 'Section' && element.getAttribute('xsi:type') === `ovf:${type}_Type`));
}

/** `rasd:` child, whatever its prefix. */
export function rasdOf(item: Element, name: string): Element | undefined {
  return childrenOf(item).find((element) => element.localName === name && element.namespaceURI === rasdUri);
}

export const textOf = (element: Element | undefined): string | undefined => element?.textContent?.trim();

export function hardwareItems({ content }: OvfDocument, resourceType: string): readonly Element[] {
  return sectionsOf(content, 'VirtualHardwareSection')
    .flatMap((section) => childrenOf(section, 'Item'))
    .filter((item) => textOf(rasdOf(item, 'ResourceType')) === resourceType);
}

/** Removes the element together with the white space before it, so that no hole shows where it was. */
export function removeElement(element: Element): void {
  const before = element.previousSibling;
  if (before?.nodeType === 3 && before.textContent?.trim() === '') before.parentNode?.removeChild(before);
  element.parentNode?.removeChild(element);
}
