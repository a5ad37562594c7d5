// Requests are checked before they are sent, so that a typing mistake costs no run. The flow checks again: clients may be foreign.
import type { z } from 'zod';
import { HoldfastClientError } from './errors';

export function parseRequest<Schema extends z.ZodType>(flow: string, schema: Schema, request: unknown): z.output<Schema> {
  const result = schema.safeParse(request);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => describeIssue(issue, request));
  throw new HoldfastClientError('input.invalid', `The input of ${flow} is not valid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`, { flow, reasons: problems });
}

function describeIssue(issue: z.core.$ZodIssue, request: unknown): string {
  const field = issue.path.map(String).join('.') || '(top level)';
  const value = valueAt(request, issue.path);
  const given = value === undefined ? 'it is missing' : `it is ${shorten(value)}`;
  return issue.code === 'unrecognized_keys' ? `${field}: ${issue.message}` : `${field}: ${issue.message}; ${given}`;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, key) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined), value);
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
