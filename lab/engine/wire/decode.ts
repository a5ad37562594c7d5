// From request bodies to values, by the same descriptions. Anything the description does not know is an error:
// a client must never believe that the lab honoured an element that it ignored.
import { describe } from './types';
import type { FieldType, TypeDescription, WireObject, WireValue } from './description';
import { parseXml, XmlError, type XmlNode } from '../xml';

export class BodyError extends Error {}

export function decodeXml(type: string, text: string): WireObject {
  const root = readTree(text);
  const { element } = describe(type);
  if (root.name !== element) throw new BodyError(`expected the root element <${element}>, got <${root.name}>`);
  return xmlObject(describe(type), root, element);
}

function readTree(text: string): XmlNode {
  try {
    return parseXml(text);
  } catch (error) {
    if (error instanceof XmlError) throw new BodyError(`the body is not well-formed XML: ${error.message}`);
    throw error;
  }
}

function xmlObject(description: TypeDescription, node: XmlNode, path: string): WireObject {
  const strayAttribute = Object.keys(node.attributes).find((name) => name !== 'id' && name !== 'href' && !name.startsWith('xmlns'));
  if (strayAttribute !== undefined) throw new BodyError(`unknown attribute "${strayAttribute}" on ${path}`);
  const { id, href } = node.attributes;
  const fields: Record<string, WireValue> = { ...(id === undefined ? {} : { id }), ...(href === undefined ? {} : { href }) };
  for (const inner of node.children) {
    // Links and actions come back when a client sends an object that it read; they carry nothing to act on.
    if (inner.name === 'link' || inner.name === 'actions') continue;
    // JSON and XML clients alike may write the id as an element.
    if (inner.name === 'id') {
      fields['id'] = inner.text.trim();
      continue;
    }
    const kind = description.fields[inner.name];
    if (kind === undefined) throw new BodyError(`unknown element "${inner.name}" in ${path}`);
    fields[inner.name] = xmlValue(kind, inner, `${path}.${inner.name}`);
  }
  return fields;
}

function xmlValue(kind: FieldType, node: XmlNode, path: string): WireValue {
  if (typeof kind !== 'object') return scalar(kind, node.text, path);
  if ('object' in kind) return xmlObject(describe(kind.object), node, path);
  const item = 'words' in kind ? kind.words : kind.item;
  const stray = node.children.find((inner) => inner.name !== item);
  if (stray !== undefined) throw new BodyError(`unknown element "${stray.name}" in ${path}`);
  if ('words' in kind) return node.children.map((inner) => inner.text.trim());
  return node.children.map((inner) => xmlObject(describe(kind.list), inner, `${path}.${item}`));
}

function scalar(kind: 'string' | 'int' | 'bool' | 'date', raw: string, path: string): WireValue {
  if (kind === 'string') return raw;
  const text = raw.trim();
  if (kind === 'int' && /^-?\d+$/.test(text)) return Number(text);
  if (kind === 'bool' && /^(true|false)$/i.test(text)) return text.toLowerCase() === 'true';
  if (kind === 'date' && !Number.isNaN(Date.parse(text))) return new Date(text);
  if (kind === 'date' && /^\d+$/.test(text)) return new Date(Number(text));
  throw new BodyError(`"${text}" is not a valid ${kind} for ${path}`);
}

export function decodeJson(type: string, text: string): WireObject {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new BodyError('the body is not well-formed JSON');
  }
  return jsonObject(describe(type), parsed, describe(type).element);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function jsonObject(description: TypeDescription, value: unknown, path: string): WireObject {
  if (!isRecord(value)) throw new BodyError(`expected an object for ${path}`);
  const fields: Record<string, WireValue> = {};
  for (const [name, inner] of Object.entries(value)) {
    if (name === 'link' || name === 'actions' || inner === null) continue;
    if (name === 'id' || name === 'href') {
      fields[name] = jsonValue('string', inner, `${path}.${name}`);
      continue;
    }
    const kind = description.fields[name];
    if (kind === undefined) throw new BodyError(`unknown element "${name}" in ${path}`);
    fields[name] = jsonValue(kind, inner, `${path}.${name}`);
  }
  return fields;
}

function jsonValue(kind: FieldType, value: unknown, path: string): WireValue {
  if (typeof kind !== 'object') {
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
      throw new BodyError(`expected a plain value for ${path}`);
    return scalar(kind, String(value), path);
  }
  if ('object' in kind) return jsonObject(describe(kind.object), value, path);
  const item = 'words' in kind ? kind.words : kind.item;
  const items = isRecord(value) ? (value[item] ?? []) : value;
  if (isRecord(value) && Object.keys(value).some((key) => key !== item)) throw new BodyError(`expected only "${item}" in ${path}`);
  const entries: readonly unknown[] = Array.isArray(items) ? items : [items];
  if ('words' in kind) return entries.map(String);
  return entries.map((entry) => jsonObject(describe(kind.list), entry, `${path}.${item}`));
}
