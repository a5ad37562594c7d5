// Hrefs, links and references, in one place: `ref('disks', id)` is `{ href, id }`.
import { base } from '../http/call';
import type { WireLink, WireObject } from '../wire/description';

export function href(...segments: readonly string[]): string {
  return [base, ...segments].join('/');
}

export function ref(...segments: readonly string[]): WireObject {
  return { href: href(...segments), id: segments.at(-1) ?? '' };
}

/** Sub-collections below an object. */
export function links(owner: readonly string[], rels: readonly string[]): WireLink[] {
  return rels.map((rel) => ({ rel, href: href(...owner, rel) }));
}
