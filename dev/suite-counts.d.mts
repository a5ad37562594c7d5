// Types of dev/suite-counts.mjs.
export interface JestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly { readonly name: string; readonly status: string; readonly assertionResults: readonly { readonly status: string }[] }[];
}
export type JestCounts = Omit<JestReport, 'testResults'>;
export function countsLine(counts: JestCounts): string;
export function failedSuites(report: JestReport | undefined): string[];
export function replaced(first: JestReport, second: JestCounts, suites: readonly string[]): JestCounts;
