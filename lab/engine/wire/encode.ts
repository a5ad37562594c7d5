// From views to bytes: XML as the official SDK reads it, JSON with the engine's own quirks
// (booleans and numbers as strings, dates as numbers, singular collection keys; engine-rules.md section 7).
import { describe } from './types';
import { isWireObject, type FieldType, type Wire, type WireObject, type WireValue } from './description';
import { element, escapeXml } from '../xml';

const header = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';

export function xmlDocument(content: Wire | { readonly type: string; readonly items: readonly Wire[] }): string {
  if ('items' in content) return header + element(describe(content.type).collection, content.items.map((item) => xmlObject(item)).join(''));
  return header + xmlObject(content);
}

function identity(fields: WireObject): Record<string, string> {
  const { href, id } = fields;
  return { ...(typeof href === 'string' ? { href } : {}), ...(typeof id === 'string' ? { id } : {}) };
}

function xmlLinks(links: readonly { readonly rel: string; readonly href: string }[]): string {
  return links.map(({ rel, href }) => `<link href="${escapeXml(href)}" rel="${escapeXml(rel)}"/>`).join('');
}

function xmlObject(item: Wire, name = describe(item.type).element): string {
  const actions = item.actions.length > 0 ? element('actions', xmlLinks(item.actions)) : '';
  const followed = [...item.followed]
    .map(([field, value]) => (isList(value) ? element(field, value.map((inner) => xmlObject(inner)).join('')) : xmlObject(value, field)))
    .join('');
  const fields = xmlFields(item.type, item.fields, item.followed);
  return element(name, actions + fields + followed + xmlLinks(item.links), identity(item.fields));
}

function isList(value: Wire | readonly Wire[]): value is readonly Wire[] {
  return Array.isArray(value);
}

function checkKnown(type: string, fields: WireObject): void {
  const known = describe(type).fields;
  const unknown = Object.keys(fields).find((key) => key !== 'id' && key !== 'href' && !(key in known));
  if (unknown !== undefined) throw new Error(`a view sets "${unknown}", which the description of "${type}" does not have`);
}

function xmlFields(type: string, fields: WireObject, skip: ReadonlyMap<string, unknown> = new Map()): string {
  checkKnown(type, fields);
  return Object.entries(describe(type).fields)
    .filter(([name]) => fields[name] !== undefined && !skip.has(name))
    .map(([name, kind]) => xmlField(name, kind, fields[name]))
    .join('');
}

function xmlField(name: string, kind: FieldType, value: WireValue): string {
  if (typeof kind === 'object') {
    if ('object' in kind) return isWireObject(value) ? element(name, xmlFields(kind.object, value), identity(value)) : '';
    if ('words' in kind)
      return element(
        name,
        wordsOf(value)
          .map((word) => element(kind.words, escapeXml(word)))
          .join(''),
      );
    return element(
      name,
      objectsOf(value)
        .map((item) => element(kind.item, xmlFields(kind.list, item), identity(item)))
        .join(''),
    );
  }
  return element(name, escapeXml(value instanceof Date ? value.toISOString() : plain(value)));
}

function items(value: WireValue): readonly (WireObject | string)[] {
  return Array.isArray(value) ? (value as readonly (WireObject | string)[]) : [];
}

function wordsOf(value: WireValue): readonly string[] {
  return items(value).filter((item) => typeof item === 'string');
}

function objectsOf(value: WireValue): readonly WireObject[] {
  return items(value).filter((item) => typeof item !== 'string');
}

function plain(value: WireValue): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new Error('a view put an object where the description has a plain value');
}

export function jsonDocument(content: Wire | { readonly type: string; readonly items: readonly Wire[] }): string {
  if (!('items' in content)) return JSON.stringify(jsonObject(content));
  return JSON.stringify(content.items.length === 0 ? {} : { [describe(content.type).element]: content.items.map(jsonObject) });
}

type Json = string | number | readonly Json[] | { readonly [key: string]: Json };

function jsonObject(item: Wire): { readonly [key: string]: Json } {
  const followed = [...item.followed].map(([field, value]): [string, Json] =>
    isList(value) ? [field, jsonCollection(value)] : [field, jsonObject(value)],
  );
  return {
    ...(item.actions.length > 0 ? { actions: { link: item.actions.map(({ rel, href }) => ({ rel, href })) } } : {}),
    ...jsonFields(item.type, item.fields),
    ...Object.fromEntries(followed),
    ...(item.links.length > 0 ? { link: item.links.map(({ rel, href }) => ({ rel, href })) } : {}),
    ...identity(item.fields),
  };
}

function jsonCollection(items: readonly Wire[]): Json {
  const [first] = items;
  return first === undefined ? {} : { [describe(first.type).element]: items.map(jsonObject) };
}

function jsonFields(type: string, fields: WireObject): Record<string, Json> {
  checkKnown(type, fields);
  return Object.fromEntries(
    Object.entries(describe(type).fields)
      .filter(([name]) => fields[name] !== undefined)
      .map(([name, kind]) => [name, jsonField(kind, fields[name])]),
  );
}

function jsonField(kind: FieldType, value: WireValue): Json {
  if (typeof kind === 'object') {
    if ('object' in kind) return isWireObject(value) ? { ...jsonFields(kind.object, value), ...identity(value) } : {};
    if (items(value).length === 0) return {};
    if ('words' in kind) return { [kind.words]: wordsOf(value) };
    return { [kind.item]: objectsOf(value).map((item) => ({ ...jsonFields(kind.list, item), ...identity(item) })) };
  }
  return value instanceof Date ? value.getTime() : plain(value);
}
