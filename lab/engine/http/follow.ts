// `follow=disk_attachments.disk`: puts linked objects in the place of their links, by running the routes they point to.
// Names are compared without case and underscores; a name that leads nowhere is a 500 in HTML, as observed.
import { htmlError } from '../faults';
import { describe } from '../wire/types';
import { isWireObject, type Wire } from '../wire/description';
import { base, type Answer } from './call';

type Fetch = (path: string) => Promise<Answer>;

export async function follow(answer: Answer, expression: string, fetch: Fetch): Promise<Answer> {
  const paths = expression
    .split(',')
    .map((path) =>
      path
        .trim()
        .split('.')
        .filter((name) => name !== ''),
    )
    .filter((path) => path.length > 0);
  if (answer.kind === 'many') {
    const items = [];
    for (const item of answer.items) items.push(await followAll(item, paths, fetch));
    return { ...answer, items };
  }
  return answer.kind === 'one' ? { ...answer, item: await followAll(answer.item, paths, fetch) } : answer;
}

async function followAll(item: Wire, paths: readonly (readonly string[])[], fetch: Fetch): Promise<Wire> {
  let result = item;
  for (const path of paths) result = await followPath(result, path, fetch);
  return result;
}

async function followPath(item: Wire, path: readonly string[], fetch: Fetch): Promise<Wire> {
  const [name, ...rest] = path;
  if (name === undefined) return item;
  const field = Object.keys(describe(item.type).fields).find((candidate) => plain(candidate) === plain(name)) ?? name;
  const already = item.followed.get(field);
  const found = already ?? (await resolve(item, name, field, fetch));
  if (found === undefined) return item;
  const deeper = isMany(found) ? await eachPath(found, rest, fetch) : await followPath(found, rest, fetch);
  const links = item.links.filter((link) => plain(link.rel) !== plain(name));
  return { ...item, links, followed: new Map([...item.followed, [field, deeper]]) };
}

async function eachPath(items: readonly Wire[], path: readonly string[], fetch: Fetch): Promise<readonly Wire[]> {
  const results = [];
  for (const item of items) results.push(await followPath(item, path, fetch));
  return results;
}

/** Undefined: the object just has no such thing (a disk attachment without a snapshot). */
async function resolve(item: Wire, name: string, field: string, fetch: Fetch): Promise<Wire | readonly Wire[] | undefined> {
  const link = item.links.find((candidate) => plain(candidate.rel) === plain(name));
  const value = item.fields[field];
  const href = link?.href ?? (isWireObject(value) && typeof value['href'] === 'string' ? value['href'] : undefined);
  if (href === undefined) {
    const kind = describe(item.type).fields[field];
    if (typeof kind === 'object' && 'object' in kind) return undefined;
    throw htmlError(500, 'Internal Server Error');
  }
  const answer = await fetch(href.slice(base.length));
  return answer.kind === 'many' ? answer.items : answer.item;
}

function isMany(value: Wire | readonly Wire[]): value is readonly Wire[] {
  return Array.isArray(value);
}

function plain(name: string): string {
  return name.replace(/_/g, '').toLowerCase();
}
