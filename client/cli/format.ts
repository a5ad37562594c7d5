// Figures and tables for people: sizes in powers of 1024, times in UTC. Pure; programs get raw numbers with --json.
import { humanBytes } from '../../domain/units';

export function humanRate(bytesPerSecond: number): string {
  return `${humanBytes(bytesPerSecond)}/s`;
}

/** 42 s · 3 min 05 s · 2 h 07 min · 3 d 04 h */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (seconds < 10 && seconds > 0 && whole !== seconds) return `${seconds.toFixed(1)} s`;
  if (whole < 60) return `${whole} s`;
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86_400)} d ${two(Math.floor((whole % 86_400) / 3600))} h`;
}

/** 2026-11-21 05:42:28 UTC; what is not a time is shown as it is. */
export function formatTime(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  return `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

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
