// The little language in which one description per type drives XML and JSON, both ways.
// Every object may carry `id` and `href`; these are attributes in XML and plain keys in JSON.

export type FieldType =
  | 'string'
  | 'int'
  | 'bool'
  | 'date'
  /** One object: `<disk id="…"/>`. */
  | { readonly object: string }
  /** Objects in a wrapper: `<disk_attachments><disk_attachment/></disk_attachments>`. */
  | { readonly list: string; readonly item: string }
  /** Words in a wrapper: `<devices><device>hd</device></devices>`. */
  | { readonly words: string };

export interface TypeDescription {
  /** Root element of one object. */
  readonly element: string;
  /** Root element of a collection. */
  readonly collection: string;
  readonly fields: Readonly<Record<string, FieldType>>;
}

export interface WireLink {
  readonly rel: string;
  readonly href: string;
}

export type WireValue = string | number | boolean | Date | WireObject | readonly WireObject[] | readonly string[] | undefined;

/** A value to send or that was received. Keys are the description's fields, plus the four below. */
export interface WireObject {
  readonly [field: string]: WireValue;
}

/** What a view adds to an object besides its fields. */
export interface Wire {
  readonly type: string;
  readonly fields: WireObject;
  readonly links: readonly WireLink[];
  readonly actions: readonly WireLink[];
  /** Sub-objects put in place of links by `follow`, by field name. */
  readonly followed: ReadonlyMap<string, Wire | readonly Wire[]>;
}

export function wire(type: string, fields: WireObject, links: readonly WireLink[] = [], actions: readonly WireLink[] = []): Wire {
  return { type, fields, links, actions, followed: new Map() };
}

export function type(element: string, collection: string, fields: TypeDescription['fields']): TypeDescription {
  return { element, collection, fields };
}

export const named = { name: 'string', description: 'string', comment: 'string' } as const;

export const object = (type: string): FieldType => ({ object: type });
export const list = (type: string, item = type): FieldType => ({ list: type, item });
export const words = (item: string): FieldType => ({ words: item });

export function isWireObject(value: WireValue): value is WireObject {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date);
}
