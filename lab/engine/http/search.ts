// The engine's search language, as far as clients use it: `name=web* and status=up or id=…`, `sortby name desc`, `page 2`.
// A field that the collection does not have is an error, so that a typing mistake never selects everything.
import { HttpFault } from '../faults';
import type { Call } from './call';

/** How to read a searchable field of a row. A field may have several values (tags). */
export type SearchFields<T> = Readonly<Record<string, (row: T) => string | number | undefined | readonly string[]>>;

type Test<T> = (row: T) => boolean;
const resultsPerPage = 100;

export function select<T>(rows: readonly T[], call: Call, fields: SearchFields<T>): T[] {
  const text = call.query.get('search')?.trim() ?? '';
  const max = call.following ? undefined : call.query.int('max');
  const matcher = new Matcher(fields, call.query.flag('case_sensitive'));
  const [withoutPage, page] = cut(text, /\bpage\s+(\d+)\s*$/i);
  const [condition, sortField, direction] = cut(withoutPage, /\bsortby\s+(\w+)(?:\s+(asc|desc))?\s*$/i);
  const found = condition === '' ? [...rows] : rows.filter(matcher.parse(condition));
  if (sortField !== undefined) matcher.sort(found, sortField, direction?.toLowerCase() === 'desc');
  const size = max !== undefined && max >= 0 ? max : undefined;
  if (page === undefined) return size === undefined ? found : found.slice(0, size);
  const perPage = size ?? resultsPerPage;
  return found.slice((Number(page) - 1) * perPage, Number(page) * perPage);
}

function cut(text: string, pattern: RegExp): [rest: string, first: string | undefined, second: string | undefined] {
  const match = pattern.exec(text);
  return match === null ? [text, undefined, undefined] : [text.slice(0, match.index).trim(), match[1], match[2]];
}

function searchError(detail: string): HttpFault {
  return new HttpFault(400, 'fault', 'Operation Failed', `[Error in Search text. ${detail}]`);
}

class Matcher<T> {
  constructor(
    private readonly fields: SearchFields<T>,
    private readonly caseSensitive: boolean,
  ) {}

  parse(text: string): Test<T> {
    const alternatives = splitOutsideQuotes(text, 'or').map((part) => splitOutsideQuotes(part, 'and').map((term) => this.term(term)));
    return (row) => alternatives.some((all) => all.every((test) => test(row)));
  }

  sort(rows: T[], name: string, descending: boolean): void {
    const read = this.field(name);
    rows.sort((left, right) => {
      const [a, b] = [read(left), read(right)];
      const order = typeof a === 'number' && typeof b === 'number' ? a - b : String(a ?? '').localeCompare(String(b ?? ''));
      return descending ? -order : order;
    });
  }

  private field(name: string): (row: T) => string | number | undefined | readonly string[] {
    // `vms.name` and `Vms.name` are the long forms.
    const short = name.toLowerCase().split('.').pop() ?? '';
    const read = this.fields[short];
    if (read === undefined) throw searchError(`The lab does not know the field "${name}" (known: ${Object.keys(this.fields).join(', ')}).`);
    return read;
  }

  private term(text: string): Test<T> {
    const match = /^([\w.]+)\s*(!=|>=|<=|=|>|<)\s*(.*)$/s.exec(text.trim());
    if (match === null) return this.freeText(unquote(text.trim()));
    const [, name = '', operator = '=', raw = ''] = match;
    const read = this.field(name);
    if (operator === '=' || operator === '!=') {
      const pattern = this.pattern(unquote(raw));
      const equals = (row: T): boolean => values(read(row)).some((value) => pattern.test(value));
      return operator === '=' ? equals : (row): boolean => !equals(row);
    }
    const bound = Number(unquote(raw));
    if (Number.isNaN(bound)) throw searchError(`"${raw}" is not a number.`);
    return (row) => compare(Number(values(read(row))[0]), operator, bound);
  }

  private freeText(text: string): Test<T> {
    if (text === '' || text === '*') return () => true;
    const pattern = this.pattern(text.includes('*') ? text : `*${text}*`);
    return (row) => Object.values(this.fields).some((read) => values(read(row)).some((value) => pattern.test(value)));
  }

  private pattern(text: string): RegExp {
    const escaped = text
      .split('*')
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*');
    return new RegExp(`^${escaped}$`, this.caseSensitive ? 's' : 'is');
  }
}

function values(value: string | number | undefined | readonly string[]): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'object' ? value : [String(value)];
}

function compare(value: number, operator: string, bound: number): boolean {
  switch (operator) {
    case '>':
      return value > bound;
    case '<':
      return value < bound;
    case '>=':
      return value >= bound;
    default:
      return value <= bound;
  }
}

function unquote(text: string): string {
  const trimmed = text.trim();
  return /^(["']).*\1$/s.test(trimmed) ? trimmed.slice(1, -1) : trimmed;
}

function splitOutsideQuotes(text: string, word: 'and' | 'or'): string[] {
  const parts: string[][] = [[]];
  for (const token of text.match(/"[^"]*"|'[^']*'|\s+|[^\s"']+/g) ?? []) {
    if (token.toLowerCase() === word) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts.map((tokens) => tokens.join(''));
}
