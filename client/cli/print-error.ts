// How an error is told: for people on stderr, reason by reason, with what to do; for programs as one JSON document on stdout.
import { HoldfastClientError, HoldfastRunError } from '../errors';
import type { RunFailureDetails } from '../errors';
import { guidanceFor } from '../failure-guide';
import type { Leftover } from '../../domain/holdings';
import { exitCodeOf } from './exit-codes';
import { oneLine } from './format';
import type { Io } from './io';

export interface ErrorDocument {
  readonly code: string;
  readonly message: string;
  readonly exitCode: number;
  readonly remedy?: string;
  readonly flow?: string;
  readonly workflowId?: string;
  readonly reasons?: RunFailureDetails['reasons'];
  readonly undone?: readonly string[];
  readonly warnings?: readonly string[];
  readonly leftovers?: readonly Leftover[];
  readonly details?: Readonly<Record<string, unknown>>;
}

export function errorDocument(error: unknown): ErrorDocument {
  const exitCode = exitCodeOf(error);
  if (error instanceof HoldfastRunError) {
    const { reasons, undone, warnings, leftovers } = error.details;
    return { code: error.code, message: error.message, exitCode, ...remedyOf(error.code), ...error.run, reasons, undone, warnings, leftovers };
  }
  if (error instanceof HoldfastClientError) return { code: error.code, message: error.message, exitCode, ...remedyOf(error.code), details: error.details };
  return { code: 'internal', message: error instanceof Error ? error.message : String(error), exitCode };
}

function remedyOf(code: string): { readonly remedy?: string } {
  const guidance = guidanceFor(code);
  return guidance ? { remedy: guidance.remedy } : {};
}

export function printError(io: Io, error: unknown, json: boolean): number {
  const document = errorDocument(error);
  if (json) io.out(`${JSON.stringify({ error: document }, undefined, 2)}\n`);
  io.err(describeError(document, error));
  return document.exitCode;
}

function describeError(document: ErrorDocument, error: unknown): string {
  const lines = [`error: ${document.message} [${document.code}]`];
  // A flow may write its reasons into the message too: once is enough.
  for (const reason of document.reasons ?? []) if (!document.message.includes(reason.text)) lines.push(`  - ${oneLine(reason.text)}`);
  if (document.undone && document.undone.length > 0) lines.push('undone, newest first:', ...document.undone.map((step) => `  - ${oneLine(step)}`));
  for (const warning of document.warnings ?? []) lines.push(`warning: ${oneLine(warning)}`);
  lines.push(...describeLeftovers(document.leftovers ?? []));
  // A client's own message already says what to do.
  if (error instanceof HoldfastRunError && document.remedy) lines.push(`what to do: ${document.remedy}`);
  if (document.code === 'internal' && error instanceof Error && error.stack) lines.push('This is a bug of the client; please report it with:', error.stack);
  return `${lines.join('\n')}\n`;
}

export function describeLeftovers(leftovers: readonly Leftover[]): readonly string[] {
  if (leftovers.length === 0) return [];
  return ['left behind (docs/operators.md, "Leftovers"):', ...leftovers.map((leftover) => `  - ${leftover.kind}${leftover.objectId === undefined ? '' : ` ${leftover.objectId}`} ("${oneLine(leftover.mark)}"): ${oneLine(leftover.reason)}`)];
}
