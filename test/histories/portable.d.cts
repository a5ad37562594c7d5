export interface HistoryText {
  readonly path: string;
  readonly text: string;
}
export function portableHistory(history: unknown, places: Readonly<Record<string, string>>): string;
export function eventLines(events: readonly unknown[]): string;
export function textsOf(value: unknown, path?: string): Generator<HistoryText>;
