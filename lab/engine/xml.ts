// XML as a plain tree, read with fast-xml-parser. Used for request bodies and for OVF documents alike.
// Names keep their literal prefix (`rasd:Parent`, `ovf:id`), as the engine's own OVF reader looks them up.
import { XMLParser, XMLValidator } from 'fast-xml-parser';

export interface XmlNode {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlNode[];
  /** All text directly inside this element, entities resolved, white space kept. */
  readonly text: string;
}

export class XmlError extends Error {}

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  // An OVF inside a request body is one text of many escaped brackets: no limit on the five standard entities.
  processEntities: { enabled: true, maxTotalExpansions: Number.MAX_SAFE_INTEGER, maxExpandedLength: Number.MAX_SAFE_INTEGER },
});

export function parseXml(text: string): XmlNode {
  if (/<!DOCTYPE/i.test(text)) throw new XmlError('a document type declaration is not allowed');
  const verdict = XMLValidator.validate(text);
  if (verdict !== true) throw new XmlError(`${verdict.err.msg} (line ${verdict.err.line}, column ${verdict.err.col})`);
  const roots = elementsOf(parser.parse(text) as unknown);
  const [root] = roots;
  if (root === undefined || roots.length !== 1) throw new XmlError('expected exactly one root element');
  return root;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** fast-xml-parser's ordered form: `[{ name: [children], ':@': { attribute: value } }, { '#text': '…' }]`. */
function elementsOf(ordered: unknown): XmlNode[] {
  if (!Array.isArray(ordered)) return [];
  return ordered.filter(isRecord).flatMap((entry) => {
    const name = Object.keys(entry).find((key) => key !== ':@' && key !== '#text');
    if (name === undefined) return [];
    const inner = entry[name];
    const attributes = isRecord(entry[':@'])
      ? Object.fromEntries(Object.entries(entry[':@']).map(([key, value]) => [key, String(value)]))
      : {};
    return [{ name, attributes, children: elementsOf(inner), text: textOf(inner) }];
  });
}

function textOf(ordered: unknown): string {
  if (!Array.isArray(ordered)) return '';
  return ordered
    .filter(isRecord)
    .map((entry) => ('#text' in entry ? String(entry['#text']) : ''))
    .join('');
}

export function child(node: XmlNode, name: string): XmlNode | undefined {
  return node.children.find((candidate) => candidate.name === name);
}

export function childText(node: XmlNode, name: string): string | undefined {
  return child(node, name)?.text;
}

export function escapeXml(text: string): string {
  // Control characters that XML 1.0 forbids would make the whole answer unreadable.
  // eslint-disable-next-line no-control-regex
  const legal = text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '');
  return legal.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}

/** Writes an element the way the engine does: one line, never self-closing. */
export function element(name: string, content = '', attributes: Readonly<Record<string, string>> = {}): string {
  const list = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${escapeXml(value)}"`)
    .join('');
  return `<${name}${list}>${content}</${name}>`;
}

/** Writes a tree back, for parts of an OVF that are kept as they came. */
export function renderXml(node: XmlNode): string {
  const content = node.children.length > 0 ? node.children.map(renderXml).join('') : escapeXml(node.text);
  return element(node.name, content, node.attributes);
}
