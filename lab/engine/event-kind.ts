// One row of the event log's tables: number, severity and sentence. `{x}` is filled in.
import type { Severity } from './state/model';

export interface EventKind {
  readonly code: number;
  readonly severity: Severity;
  readonly text: string;
}

export function kind(code: number, severity: Severity, text: string): EventKind {
  return { code, severity, text };
}
