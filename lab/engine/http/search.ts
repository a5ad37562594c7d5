// The engine's search language, as far as clients use it: `name=web* and status=up or id=…`, `sortby name desc`, `page 2`. A field that the lab
// does not have is an error: the engine may know it, and where it does not, it looks for the whole as free text.
import { HttpFault } from '../faults';
import type { Call } from './call';
import { parseSearch, type Condition, type Search, type Term } from './search-terms';

/** How to read a searchable field of a row. A field may have several values (tags). */
export type SearchFields<T> = Readonly<Record<string, (row: T) => string | number | undefined | readonly string[]>>;

type Test<T> = (row: T) => boolean;
const resultsPerPage = 100;
/** Free text is looked for in columns of text alone (buildFreeTextConditionSql): not in numbers, dates, UUIDs and enumerations. */
const notFreeText: ReadonlySet<string> = new Set(['id', 'status', 'severity', 'type', 'time', 'custom_event_id', 'creationdate']);

export function select<T>(rows: readonly T[], call: Call, fields: SearchFields<T>): T[] {
  const max = call.following ? undefined : call.query.int('max');
  const search = parseSearch(call.query.get('search')?.trim() ?? '');
  if (search === undefined) return [];
  const found = new Matcher(fields, call.query.flag('case_sensitive')).find(rows, search);
  const size = max !== undefined && max >= 0 ? max : undefined;
  if (search.page === undefined) return size === undefined ? found : found.slice(0, size);
  const perPage = size ?? resultsPerPage;
  return found.slice((search.page - 1) * perPage, search.page * perPage);
}

function searchError(detail: string): HttpFault {
  return new HttpFault(400, 'fault', 'Operation Failed', `[Error in Search text. ${detail}]`);
}

class Matcher<T> {
  constructor(
    private readonly fields: SearchFields<T>,
    private readonly caseSensitive: boolean,
  ) {}

  find(rows: readonly T[], { groups, sortBy }: Search): T[] {
    const tests = groups.map((alternatives) => alternatives.map((all) => all.map((term) => this.term(term))));
    const found = rows.filter((row) => tests.every((alternatives) => alternatives.some((all) => all.every((test) => test(row)))));
    if (sortBy !== undefined) this.sort(found, sortBy.field, sortBy.descending);
    return found;
  }

  private sort(rows: T[], name: string, descending: boolean): void {
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

  private term(term: Term): Test<T> {
    return term.kind === 'free-text' ? this.freeText(term.value) : this.condition(term);
  }

  private condition({ field, relation, value }: Condition): Test<T> {
    const read = this.field(field);
    if (relation === '=' || relation === '!=') {
      const pattern = this.pattern(value);
      const equals = (row: T): boolean => values(read(row)).some((each) => pattern.test(each));
      return relation === '=' ? equals : (row): boolean => !equals(row);
    }
    const bound = Number(value);
    if (Number.isNaN(bound)) throw searchError(`"${value}" is not a number.`);
    return (row) => compare(Number(values(read(row))[0]), relation, bound);
  }

  private freeText(text: string): Test<T> {
    const pattern = this.pattern(`*${text}*`);
    const searched = Object.entries(this.fields).flatMap(([name, read]) => (notFreeText.has(name) ? [] : [read]));
    return (row) => searched.some((read) => values(read(row)).some((value) => pattern.test(value)));
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

function compare(value: number, relation: string, bound: number): boolean {
  switch (relation) {
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
