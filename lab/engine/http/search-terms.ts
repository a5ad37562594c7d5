// The grammar of the engine's search language (searchbackend, SyntaxChecker): `field relation value`, free text once, `and`, `or`. What does not fit
// is no error to a client: SearchQuery.initQueryData gives up, the query has "succeeded", and the answer is an empty list.

export interface Condition {
  readonly kind: 'condition';
  readonly field: string;
  readonly relation: string;
  readonly value: string;
}
export type Term = Condition | { readonly kind: 'free-text'; readonly value: string };

/** Alternatives of terms that hold together. */
export type Group = readonly (readonly Term[])[];

export interface Search {
  /** All have to hold. Where two terms stand side by side the engine joins what `and` and `or` have bound. */
  readonly groups: readonly Group[];
  readonly sortBy?: { readonly field: string; readonly descending: boolean };
  readonly page?: number;
}

type Token = { readonly kind: 'and' } | { readonly kind: 'or' } | Term;

const disallowed = /[';]/;
const connective = /\s*(and|or)(?=\s|$)/iy;
const condition = /\s*([\w.]+)\s*(!=|>=|<=|=|>|<)\s*/y;
/** In double quotes, or up to the next space. */
const value = /\s*(?:"([^"]*)"|([^\s"]+)(?=\s|$))/y;

/** Undefined: the engine finds nothing. */
export function parseSearch(text: string): Search | undefined {
  if (disallowed.test(text)) return undefined;
  const [withoutPage, page] = cut(text, /(?:^|\s)page\s+(\d+)\s*$/i);
  const [conditions, field, direction] = cut(withoutPage, /(?:^|\s)sortby\s+(\w+)(?:\s+(asc|desc))?\s*$/i);
  // SORT_FIELD is followed by SORT_DIRECTION or by the end: `sortby name page 2` is none.
  if (field !== undefined && page !== undefined && direction === undefined) return undefined;
  const tokens = tokenize(conditions);
  const groups = tokens && group(tokens);
  return (
    groups && {
      groups,
      ...(field === undefined ? {} : { sortBy: { field, descending: direction?.toLowerCase() === 'desc' } }),
      ...(page === undefined ? {} : { page: Number(page) }),
    }
  );
}

function cut(text: string, pattern: RegExp): [rest: string, first: string | undefined, second: string | undefined] {
  const match = pattern.exec(text);
  return match === null ? [text.trim(), undefined, undefined] : [text.slice(0, match.index).trim(), match[1], match[2]];
}

function tokenize(text: string): readonly Token[] | undefined {
  const tokens: Token[] = [];
  let freeTexts = 0;
  for (let at = 0; at < text.length; ) {
    const take = (pattern: RegExp): RegExpExecArray | undefined => {
      pattern.lastIndex = at;
      const match = pattern.exec(text) ?? undefined;
      if (match !== undefined) at = pattern.lastIndex;
      return match;
    };
    const word = tokens.length === 0 ? undefined : take(connective);
    if (word !== undefined) {
      tokens.push(word[1]?.toLowerCase() === 'or' ? { kind: 'or' } : { kind: 'and' });
      continue;
    }
    const head = take(condition);
    const tail = take(value);
    if (tail === undefined) return undefined;
    const found = tail[1] ?? tail[2] ?? '';
    if (head === undefined) freeTexts += 1;
    tokens.push(head === undefined ? { kind: 'free-text', value: found } : { kind: 'condition', field: head[1] ?? '', relation: head[2] ?? '', value: found });
  }
  return freeTexts > 1 ? undefined : tokens;
}

/** `and` binds before `or`. Undefined where one of them has nothing to join. */
function group(tokens: readonly Token[]): readonly Group[] | undefined {
  const groups: Term[][][] = [];
  let before: 'and' | 'or' | 'start' | 'term' = 'start';
  for (const token of tokens) {
    if (token.kind === 'and' || token.kind === 'or') {
      if (before !== 'term') return undefined;
      before = token.kind;
      continue;
    }
    const current = groups.at(-1);
    if (before === 'and') current?.at(-1)?.push(token);
    else if (before === 'or') current?.push([token]);
    else groups.push([[token]]);
    before = 'term';
  }
  return before === 'and' || before === 'or' ? undefined : groups;
}
