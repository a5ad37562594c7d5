// A decoded request body, read by dotted paths. Reading is typed; what an operation does not name in `accepts` is refused.
import { BodyError } from './decode';
import { isWireObject, type WireObject, type WireValue } from './description';

export class Body {
  constructor(readonly value: WireObject) {}

  static readonly empty = new Body({});

  private at(path: string): WireValue {
    let current: WireValue = this.value;
    for (const key of path.split('.')) {
      if (!isWireObject(current)) return undefined;
      current = current[key];
    }
    return current;
  }

  has(path: string): boolean {
    return this.at(path) !== undefined;
  }

  /** Text of an element; an empty element is an empty string. */
  text(path: string): string | undefined {
    const found = this.at(path);
    return typeof found === 'string' ? found : undefined;
  }

  /** Text that counts as absent when it is empty: names, ids, enums. */
  word(path: string): string | undefined {
    const found = this.text(path)?.trim();
    return found === '' ? undefined : found;
  }

  int(path: string): number | undefined {
    const found = this.at(path);
    return typeof found === 'number' ? found : undefined;
  }

  flag(path: string): boolean | undefined {
    const found = this.at(path);
    return typeof found === 'boolean' ? found : undefined;
  }

  list(path: string): readonly Body[] {
    const found = this.at(path);
    if (!Array.isArray(found)) return [];
    return found.flatMap((item: unknown) => (typeof item === 'object' && item !== null ? [new Body(item as WireObject)] : []));
  }

  words(path: string): readonly string[] | undefined {
    const found = this.at(path);
    return Array.isArray(found) ? found.filter((item): item is string => typeof item === 'string') : undefined;
  }

  child(path: string): Body | undefined {
    const found = this.at(path);
    return isWireObject(found) ? new Body(found) : undefined;
  }

  /** Every leaf must be below one of the accepted paths; hrefs are noise that clients send along. */
  acceptOnly(accepted: readonly string[]): void {
    for (const path of leaves(this.value, '')) {
      if (path.endsWith('href')) continue;
      if (!accepted.some((allowed) => path === allowed || path.startsWith(`${allowed}.`))) {
        throw new BodyError(`the lab does not support "${path}" in this request`);
      }
    }
  }
}

function leaves(value: WireValue, prefix: string): string[] {
  if (Array.isArray(value))
    return [...new Set(value.flatMap((item: WireObject | string) => (typeof item === 'string' ? [prefix] : leaves(item, prefix))))];
  if (!isWireObject(value)) return [prefix];
  const entries = Object.entries(value);
  if (entries.length === 0 && prefix !== '') return [prefix];
  return entries.flatMap(([key, inner]) => leaves(inner, prefix === '' ? key : `${prefix}.${key}`));
}
