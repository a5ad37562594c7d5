// Shows a running backup or restore: redrawn bars on a terminal, plain lines elsewhere. It writes to stderr's or stdout's function as told
// and decides nothing about the run.
import { Estimator, type Estimate } from '../../domain/estimate';
import type { DiskProgress, Progress } from '../../domain/flows/progress';
import { formatDuration, humanBytes, humanRate } from '../../domain/units';
import { oneLine } from './format';

export interface ProgressView {
  update(progress: Progress, atMs: number): void;
  /** A sentence of its own, between the figures. */
  note(text: string): void;
  /** Leaves the last state standing. */
  finish(): void;
}

export const silentView: ProgressView = { update: () => undefined, note: () => undefined, finish: () => undefined };

const clearToEnd = '\u001b[0J';
const linesUp = (count: number): string => (count > 0 ? `\u001b[${count}A\r` : '\r');

export class TerminalView implements ProgressView {
  readonly #estimator = new Estimator();
  #drawn: readonly string[] = [];

  constructor(
    private readonly write: (text: string) => void,
    private readonly columns: () => number,
  ) {}

  update(progress: Progress, atMs: number): void {
    const lines = renderLines(progress, this.#estimator.add(progress, atMs), this.columns());
    this.#draw('', lines);
  }

  note(text: string): void {
    this.#draw(`${text}\n`, this.#drawn);
  }

  finish(): void {
    this.#drawn = [];
  }

  #draw(above: string, lines: readonly string[]): void {
    const move = this.#drawn.length > 0 ? `${linesUp(this.#drawn.length)}${clearToEnd}` : '';
    this.write(`${move}${above}${lines.map((line) => `${line}\n`).join('')}`);
    this.#drawn = lines;
  }
}

const plainEveryMs = 10_000;

/** A line when the phase changes, and every ten seconds of copying: a log that can be read afterwards. */
export class PlainView implements ProgressView {
  readonly #estimator = new Estimator();
  #said = '';
  #figures = '';
  #saidAtMs = -Infinity;
  #warnings = 0;
  #notes: readonly string[] = [];

  constructor(private readonly write: (text: string) => void) {}

  update(progress: Progress, atMs: number): void {
    const estimate = this.#estimator.add(progress, atMs);
    for (const note of progress.notes.filter(({ text }) => !this.#notes.includes(text))) this.write(`why: ${oneLine(note.text)}\n`);
    this.#notes = progress.notes.map(({ text }) => text);
    for (const warning of progress.warnings.slice(this.#warnings)) this.write(`warning: ${oneLine(warning)}\n`);
    this.#warnings = progress.warnings.length;
    const stage = [headline(progress), ...waitingLines(progress)].join(';');
    const figures = figuresOf(estimate);
    if (stage === this.#said && (figures === this.#figures || atMs - this.#saidAtMs < plainEveryMs)) return;
    this.#said = stage;
    this.#figures = figures;
    this.#saidAtMs = atMs;
    this.write(`${stage}${progress.disks.length > 0 ? `: ${figures}` : ''}\n`);
  }

  note(text: string): void {
    this.write(`${text}\n`);
  }

  finish(): void {
    this.#said = '';
  }
}

export function renderLines(progress: Progress, estimate: Estimate, columns: number): readonly string[] {
  const nameWidth = Math.min(24, Math.max(0, ...progress.disks.map((disk) => oneLine(disk.alias).length)));
  return [
    clip(`${headline(progress)}${progress.disks.length > 0 ? `  ${figuresOf(estimate)}` : ''}`, columns),
    ...diskLines(progress.disks, nameWidth, columns).map((line) => clip(line, columns)),
    ...waitingLines(progress).map((line) => clip(line, columns)),
    ...progress.notes.map(({ text }) => clip(`  why: ${oneLine(text)}`, columns)),
    ...progress.warnings.map((warning) => clip(`! ${oneLine(warning)}`, columns)),
  ];
}

/** One line per limit that keeps disks of this run from being copied. */
function waitingLines({ disks }: Progress): readonly string[] {
  return [...new Set(disks.flatMap(({ waitingFor }) => (waitingFor === null ? [] : [`  waiting for a copy slot: ${oneLine(waitingFor)}`])))];
}

/** More lines than the screen has cannot be redrawn: disks that are done give way first. */
const maxDiskLines = 12;

function diskLines(disks: readonly DiskProgress[], nameWidth: number, columns: number): readonly string[] {
  const surplus = disks.length - maxDiskLines;
  const hidden = surplus > 0 ? [...disks.filter(({ state }) => state === 'done'), ...disks.filter(({ state }) => state === 'waiting'), ...disks].slice(0, surplus + 1) : [];
  const shown = disks.filter((disk) => !hidden.includes(disk)).map((disk) => diskLine(disk, nameWidth, columns));
  return hidden.length > 0 ? [...shown, `  and ${disks.length - shown.length} more disks`] : shown;
}

function headline(progress: Progress): string {
  const limit = progress.bandwidthBytesPerSecond === null ? '' : `, at most ${humanRate(progress.bandwidthBytesPerSecond)} per disk`;
  // The first moments of a run do not know the VM's name yet.
  return `${oneLine(progress.vmName || (progress.vmId ?? 'run'))}: ${progress.phase}${progress.paused ? ' (paused)' : ''}${limit}`;
}

function figuresOf(estimate: Estimate): string {
  const left = estimate.secondsLeft === undefined || estimate.secondsLeft === 0 ? '' : `, ${formatDuration(Math.ceil(estimate.secondsLeft))} left`;
  const rate = estimate.bytesPerSecond > 0 ? `, ${humanRate(estimate.bytesPerSecond)}` : '';
  return `${percent(estimate.doneBytes, estimate.totalBytes)} of ${humanBytes(estimate.totalBytes)}${rate}${left}`;
}

function diskLine(disk: DiskProgress, nameWidth: number, columns: number): string {
  const name = clip(oneLine(disk.alias), nameWidth).padEnd(nameWidth);
  const done = disk.state === 'done' ? disk.virtualBytes : disk.positionBytes;
  const active = disk.state === 'copying' || disk.state === 'proving';
  const text = `${percent(done, disk.virtualBytes).padStart(4)}  ${disk.state.padEnd(7)}${active ? `  ${humanRate(disk.bytesPerSecond)}` : ''}`;
  const barWidth = Math.min(40, columns - nameWidth - text.length - 8);
  return barWidth >= 8 ? `  ${name}  [${bar(done, disk.virtualBytes, barWidth)}] ${text}` : `  ${name}  ${text}`;
}

function bar(done: number, total: number, width: number): string {
  const filled = total > 0 ? Math.min(width, Math.floor((done / total) * width)) : 0;
  return `${'#'.repeat(filled)}${'-'.repeat(width - filled)}`;
}

/** Rounded down: 100 % means all of it. */
function percent(done: number, total: number): string {
  return `${total > 0 ? Math.min(100, Math.floor((done / total) * 100)) : 0}%`;
}

/** A wrapped line would make the redrawing count wrong. */
function clip(text: string, columns: number): string {
  const points = Array.from(text);
  return points.length > columns ? points.slice(0, Math.max(0, columns - 1)).join('') + '…' : text;
}
