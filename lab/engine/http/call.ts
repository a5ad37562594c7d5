// What a route gets and what it gives back. No HTTP details below this page: resources see calls and answers.
import type { Actor } from '../events';
import { invalidUuid, isUuid, unsupported, type HttpFault } from '../faults';
import type { Body } from '../wire/body';
import { wire, type Wire } from '../wire/description';

export interface Call {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  readonly actor: Actor;
  /** All-Content, from the header or the query. */
  readonly allContent: boolean;
  /** `follow` is on: the engine then drops `max`. */
  readonly following: boolean;
}

export class Query {
  constructor(private readonly values: ReadonlyMap<string, string>) {}

  get(name: string): string | undefined {
    return this.values.get(name);
  }

  flag(name: string, otherwise = false): boolean {
    const value = this.values.get(name);
    if (value === undefined) return otherwise;
    if (value === '' || value.toLowerCase() === 'true') return true;
    if (value.toLowerCase() === 'false') return false;
    throw unsupported(`query parameter "${name}" must be true or false, not "${value}"`);
  }

  int(name: string): number | undefined {
    const value = this.values.get(name);
    if (value === undefined) return undefined;
    if (!/^-?\d+$/.test(value)) throw unsupported(`query parameter "${name}" must be a whole number, not "${value}"`);
    return Number(value);
  }

  names(): readonly string[] {
    return [...this.values.keys()];
  }
}

export type Answer =
  | { readonly kind: 'one'; readonly item: Wire }
  | { readonly kind: 'many'; readonly type: string; readonly items: readonly Wire[] }
  /** 201. `settled` ends with the work that the creation started; `Expect: 201-created` waits for it and looks again. */
  | { readonly kind: 'created'; readonly item: Wire; readonly settled?: Promise<void>; readonly again?: () => Promise<Wire> }
  /** 200 with `<action>`, for actions and DELETE. */
  | { readonly kind: 'action'; readonly item: Wire };

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** `/vms/:vm/snapshots/:snapshot` */
  readonly path: string;
  /** Query parameters that this route acts on; every other one is an error. */
  readonly query?: readonly string[];
  readonly body?: { readonly type: string; readonly accepts: readonly string[] };
  /** Faults of actions are nested in `<action>`. */
  readonly action?: true;
  readonly handle: (call: Call) => Answer | Promise<Answer>;
}

export function one(item: Wire): Answer {
  return { kind: 'one', item };
}

export function many(type: string, items: readonly Wire[]): Answer {
  return { kind: 'many', type, items };
}

export function done(job?: { readonly jobId: string }): Answer {
  const reference = job === undefined ? {} : { job: { href: `${base}/jobs/${job.jobId}`, id: job.jobId } };
  return { kind: 'action', item: wire('action', { ...reference, status: 'complete' }) };
}

/** All hrefs start here; the SDK refuses links that do not start with the path it was given. */
export const base = '/ovirt-engine/api';

export function param(call: Call, name: string): string {
  return call.params[name] ?? '';
}

/** An id inside a body: a malformed one is a 400 (on disk attachments: see there). */
export function bodyId(
  call: { readonly body: Body },
  path: string,
  otherwise: (text: string) => HttpFault = invalidUuid,
): string | undefined {
  const id = call.body.word(path);
  if (id !== undefined && !isUuid(id)) throw otherwise(id);
  return id?.toLowerCase();
}
