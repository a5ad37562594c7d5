// What operators read about a run in the Temporal UI: the Markdown of its page ("Current Details") and the line of its row in the list (the
// search attribute HoldfastProgress). Pure text. The UI's frame shows few lines without scrolling, so what matters most stands first.
import type { Estimate } from '../domain/estimate';
import type { DiskProgress, Phase, Progress } from '../domain/flows/progress';
import { leftoverGuidance, remedyOf } from '../domain/guidance';
import type { Leftover } from '../domain/holdings';
import { clippedLine, formatDuration, formatTime, humanBytes, humanRate } from '../domain/units';

export interface RunEnd {
  readonly outcome: 'completed' | 'failed' | 'cancelled';
  readonly failure?: { readonly code: string; readonly message: string };
  /** "backup 6f1c… is sealed": what stays, whatever the outcome. */
  readonly product?: string;
}

export interface RunView {
  readonly progress: Progress;
  readonly estimate: Estimate;
  /** `backup`, `restore`: what the run is. */
  readonly what: string;
  readonly engine: string;
  readonly repository: string;
  readonly startedAtMs: number;
  readonly atMs: number;
  /** What would be left behind if the run were terminated now, newest first. */
  readonly holds: readonly Omit<Leftover, 'reason'>[];
  readonly end?: RunEnd;
}

const phaseWords: Readonly<Record<Phase, string>> = {
  planning: 'planning: asking engine, appliance and repository',
  snapshot: 'taking the snapshot',
  'vm-backup': 'starting the VM backup',
  configuration: 'saving the configuration',
  attach: 'attaching the disks to the appliance',
  copy: 'copying',
  verify: 'reading again what was sealed',
  seal: 'sealing the backup',
  disks: 'creating the disks',
  prove: 'proving: re-reading what was written',
  replace: 'taking the old VM away',
  'create-vm': 'creating the VM',
  cleanup: 'cleaning up',
  done: 'done',
};

/** The UI makes its frame a line too low: what is cut off is this one. A space of any kind would not count as a line. */
const blankLine = '\u2800';

/** Half of what a visibility store takes as a keyword. */
const longestLineBytes = 120;

/** The row in the list: how far and how fast, or how it ended and what is left. */
export function progressLine(view: RunView): string {
  return clippedLine(lineOf(view), longestLineBytes);
}

function lineOf({ progress, estimate, end }: RunView): string {
  if (end) return `${end.outcome}${end.failure && end.outcome === 'failed' ? ` [${end.failure.code}]` : ''}, ${leftText(progress)}`;
  if (progress.paused) return `paused${isMoving(progress) ? ` at ${percentOf(estimate.doneBytes, estimate.totalBytes)}` : ''}`;
  if (isMoving(progress)) return [`${progress.phase} ${percentOf(estimate.doneBytes, estimate.totalBytes)}`, ...paceOf(estimate), ...(waitingFor(progress).length > 0 ? ['waits for a copy slot'] : [])].join(', ');
  return progress.trouble === null ? progress.phase : `${progress.phase}, waiting: ${progress.trouble}`;
}

export function describeRun(view: RunView): string {
  const { progress, what, engine, repository, atMs, holds, end } = view;
  const blocks = [
    headline(view),
    ...(progress.trouble === null ? [] : [`**Waiting:** ${plain(progress.trouble)}`]),
    ...endBlocks(view),
    ...(progress.disks.length === 0 ? [] : [diskTable(progress, end)]),
    ...(end ? [] : list('Waiting for a copy slot', waitingFor(progress))),
    ...list(progress.phase === 'done' ? 'Cleaned up' : 'Undone, newest first', progress.undone.map(plain)),
    ...list('Decided', progress.notes.map(({ code, text }) => `${plain(text)} (${code})`)),
    ...(progress.consistency === null ? [] : [`**Consistency** ${progress.consistency.level}: ${plain(progress.consistency.evidence)}`]),
    ...list('Warnings', progress.warnings.filter((warning) => !end || !warning.startsWith('left behind: ')).map(plain)),
    ...(end || holds.length === 0 ? [] : list('Holds now, and releases at its end', holds.map(({ kind, objectId, mark }) => `${kind} ${objectId !== undefined && !mark.includes(objectId) ? `${objectId} ` : ''}"${plain(mark)}"`))),
    `${what} of engine ${engine}, repository ${repository} · as of ${formatTime(new Date(atMs).toISOString())} · Holdfast run ${progress.runId}`,
    blankLine,
  ];
  return blocks.join('\n\n');
}

/** Which VM, how far, how fast, how long: one line. */
function headline(view: RunView): string {
  const { progress, estimate, what, startedAtMs, atMs, end } = view;
  const vm = `**${plain(progress.vmName || progress.vmId || 'VM not known yet')}**`;
  if (end) return `${vm}: ${what} **${end.outcome}** after ${formatDuration((atMs - startedAtMs) / 1000)}, **${leftText(progress)}**`;
  const limit = progress.bandwidthBytesPerSecond === null ? [] : [`at most ${humanRate(progress.bandwidthBytesPerSecond)} a disk`];
  const figures = isMoving(progress) ? [`**${percentOf(estimate.doneBytes, estimate.totalBytes)}** of ${humanBytes(estimate.totalBytes)}`, ...(progress.paused ? [] : paceOf(estimate)), ...limit] : [];
  return [`${vm}: ${what}, ${progress.paused ? '**paused**, phase ' : ''}**${phaseWords[progress.phase]}**`, ...figures].join(' · ');
}

function endBlocks({ progress, end }: RunView): readonly string[] {
  if (!end) return [];
  const { failure, product } = end;
  const remedy = failure && remedyOf(failure.code);
  return [
    ...(failure && end.outcome === 'failed' ? [`**Failure** \`${failure.code}\`: ${plainLines(failure.message)}`] : []),
    ...(end.outcome === 'failed' && remedy !== undefined ? [`**What to do:** ${remedy}`] : []),
    ...(product === undefined ? [] : [plain(product)]),
    ...list('Left behind', progress.leftovers.map(leftoverText)),
  ];
}

function leftoverText({ kind, objectId, mark, reason }: Leftover): string {
  const id = objectId !== undefined && !mark.includes(objectId) ? ` ${objectId}` : '';
  return `${kind}${id} "${plain(mark)}": ${plain(reason)} **What to do:** ${leftoverGuidance[kind].remedy}`;
}

function leftText({ leftovers }: Progress): string {
  return leftovers.length === 0 ? 'nothing left behind' : `${leftovers.length} left behind`;
}

function diskTable(progress: Progress, end: RunEnd | undefined): string {
  const isOver = end !== undefined || progress.phase === 'cleanup';
  const rows = progress.disks.map((disk) => {
    const state = disk.state === 'done' ? 'done' : isOver ? 'stopped' : progress.paused ? 'paused' : disk.state;
    const rate = !isOver && !progress.paused && (disk.state === 'copying' || disk.state === 'proving') && disk.bytesPerSecond > 0 ? humanRate(disk.bytesPerSecond) : '';
    return `| ${plain(disk.alias)} | ${state} | ${percentOfDisk(disk)} | ${humanBytes(disk.virtualBytes)} | ${humanBytes(disk.dataBytes)} | ${rate} |`;
  });
  return ['| disk | state | done | size | data moved | rate |', '|---|---|---|---|---|---|', ...rows].join('\n');
}

function waitingFor({ disks }: Progress): readonly string[] {
  return disks.flatMap(({ alias, waitingFor: limit }) => (limit === null ? [] : [`${plain(alias)}: ${plain(limit)}`]));
}

const isMoving = ({ phase }: Progress): boolean => phase === 'copy' || phase === 'prove' || phase === 'verify';

function paceOf({ bytesPerSecond, secondsLeft }: Estimate): readonly string[] {
  return [
    ...(bytesPerSecond > 0 ? [humanRate(bytesPerSecond)] : []),
    ...(secondsLeft === undefined || secondsLeft === 0 ? [] : [`about ${formatDuration(Math.ceil(secondsLeft))} left`]),
  ];
}

function percentOfDisk({ state, positionBytes, virtualBytes }: DiskProgress): string {
  return state === 'done' ? '100 %' : percentOf(positionBytes, virtualBytes);
}

function percentOf(doneBytes: number, totalBytes: number): string {
  return `${totalBytes === 0 ? 100 : Math.min(100, Math.floor((doneBytes / totalBytes) * 100))} %`;
}

function list(title: string, items: readonly string[]): readonly string[] {
  return items.length === 0 ? [] : [`**${title}**`, items.map((item) => `- ${item}`).join('\n')];
}

/** Names come from the engine: none of them may break the page's Markdown. */
function plain(text: string): string {
  return plainLines(text).replace(/\s+/g, ' ');
}

function plainLines(text: string): string {
  return text.replace(/[\\`*|<>[\]#]/g, (sign) => `\\${sign}`);
}
