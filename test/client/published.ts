// Documents that are made from the code and committed: read to compare, written with HOLDFAST_UPDATE_DOCS=1 (CONTRIBUTING.md).
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './harness';

const updating = process.env['HOLDFAST_UPDATE_DOCS'] === '1';

export function readText(file: string): string {
  return readFileSync(path.join(root, file), 'utf8');
}

/** The committed text of a generated file; brought up to date first when that was asked for. */
export function committed(file: string, current: string): string {
  if (updating) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), current);
  }
  return readText(file);
}

/** The text between `<!-- generated: name -->` and `<!-- end: name -->` of a document. */
export function generatedBlock(file: string, name: string, current: string): string {
  const [open, close] = [`<!-- generated: ${name} -->\n`, `<!-- end: ${name} -->`];
  const text = readText(file);
  const from = text.indexOf(open) + open.length;
  const to = text.indexOf(close);
  if (!text.includes(open) || to < from) throw new Error(`${file} has no block "${name}"`);
  if (!updating) return text.slice(from, to);
  writeFileSync(path.join(root, file), text.slice(0, from) + current + text.slice(to));
  return current;
}

export function markdownTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return line(titles) + line(titles.map(() => '---')) + rows.map(line).join('');
}
