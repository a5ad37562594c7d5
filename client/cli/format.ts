// Tables for people, and sizes as people type them. Pure; programs get raw numbers with --json. Figures: domain/units.ts.
const sizePattern = /^(\d+(?:\.\d+)?)\s*(?:(K|M|G|T)(?:i?B)?|B)?(?:\/s)?$/i;

/** 1048576 · 50M · 50MiB · 1.5 GiB/s: units are powers of 1024. Undefined when it is no size. */
export function parseBytes(text: string): number | undefined {
  const match = sizePattern.exec(text.trim());
  if (!match) return undefined;
  const power = match[2] ? 'KMGT'.indexOf(match[2].toUpperCase()) + 1 : 0;
  return Math.round(Number(match[1]) * 1024 ** power);
}

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly right?: boolean;
}

/** Aligned columns, two spaces apart; the last one is never padded. */
export function formatTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ value }) => oneLine(value(row))))];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => displayWidth(line[index] ?? ''))));
  const lines = cells.map((line) => line.map((cell, index) => pad(cell, widths[index] ?? 0, columns[index]?.right === true)).join('  ').trimEnd());
  return `${lines.join('\n')}\n`;
}

/** Name and value below each other, values aligned; continuation lines are indented alike. */
export function formatFields(fields: readonly (readonly [string, string])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `  ${name.padEnd(width)}  ${value.split('\n').join(`\n${' '.repeat(width + 4)}`)}\n`).join('');
}

function pad(text: string, width: number, right: boolean): string {
  const filler = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return right ? filler + text : text + filler;
}

/** Names come from the engine: a line break or an escape in one must not break or drive the terminal. */
export function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are exactly what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
}

/** Code points, not UTF-16 units; good enough for names. */
function displayWidth(text: string): number {
  return Array.from(text).length;
}
