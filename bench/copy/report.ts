// The copy benchmark's figures as tables and as JSON. Pure.
import type { Machine } from '../measure/machine';
import { machineText } from '../measure/machine';
import type { Measured } from '../measure/processes';
import { pairedRatio, spreadOf } from '../measure/statistics';
import { markdownTable, mebibytes } from '../measure/table';
import { names, type Contender } from './contenders';
import type { Source } from './sources';

export interface ContenderRuns {
  readonly name: string;
  readonly source: Source['name'];
  readonly runs: readonly Measured[];
}

export interface CopyReport {
  readonly benchmark: 'copy';
  readonly startedAt: string;
  readonly machine: Machine;
  readonly virtualBytes: number;
  readonly dataBytes: number;
  readonly sources: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly results: readonly ContenderRuns[];
  readonly skipped: readonly string[];
}

interface Aim {
  readonly of: string;
  readonly atLeast: number;
}

/** Of issue 4: how fast our copy must be, as a multiple of the other's speed. */
export const aims: readonly Aim[] = [{ of: names.hash, atLeast: 1 }, { of: names.convert, atLeast: 0.5 }, { of: names.direct, atLeast: 0.5 }, { of: names.virtnbdbackup, atLeast: 3 }];
export const memoryAimBytes = 256 * 1024 ** 2;

const speed = (dataBytes: number, seconds: number): string => (dataBytes / 1e6 / seconds).toFixed(0);
const seconds = (runs: readonly Measured[]): number[] => runs.map((run) => run.seconds);

export function ours(report: CopyReport, source: Contender['source']): ContenderRuns | undefined {
  return report.results.find((result) => result.source === source && result.name === names.holdfast);
}

export function reportText(report: CopyReport): string {
  const { machine, dataBytes, virtualBytes, rounds, startedAt, skipped } = report;
  const parts = [
    `${startedAt.slice(0, 10)}. ${machineText(machine)}.`,
    `A disk of ${(virtualBytes / 1024 ** 3).toFixed(2)} GiB with ${(dataBytes / 1e6).toFixed(0)} MB of data; ${rounds === 1 ? 'one run' : `medians of ${rounds} alternating runs`}, caches warm, every result flushed to disk inside of its time and found equal to the source.`,
  ];
  for (const [source, what] of Object.entries(report.sources)) parts.push(`### From ${source === 'nbd' ? 'NBD' : 'a device'}\n\nSource: ${what}.`, sourceTable(report, source));
  parts.push('### Aims', aimsTable(report));
  return [...parts, ...skipped].join('\n\n');
}

function sourceTable(report: CopyReport, source: string): string {
  const own = report.results.find((result) => result.source === source && result.name === names.holdfast);
  const rows = report.results.filter((result) => result.source === source).map((result) => {
    const time = spreadOf(seconds(result.runs));
    const ratio = own === undefined || own === result ? '' : pairedRatio(seconds(result.runs), seconds(own.runs)).median.toFixed(2);
    const of = (pick: (run: Measured) => number): number => spreadOf(result.runs.map(pick)).high;
    return [result.name, time.median.toFixed(2), `${time.low.toFixed(2)}–${time.high.toFixed(2)}`, speed(report.dataBytes, time.median), spreadOf(result.runs.map((run) => run.cpuSeconds)).median.toFixed(1), mebibytes(of((run) => run.ownPeakBytes)), mebibytes(of((run) => run.childrenPeakBytes)), ratio];
  });
  return markdownTable(['contender', 'seconds', 'low–high', 'MB/s of data', 'CPU s', 'peak MiB', 'children MiB', 'Holdfast is × as fast'], rows);
}

function aimsTable(report: CopyReport): string {
  const rows: string[][] = [];
  for (const source of Object.keys(report.sources)) {
    const own = report.results.find((result) => result.source === source && result.name === names.holdfast);
    if (own === undefined) continue;
    for (const { of, atLeast } of aims) {
      const other = report.results.find((result) => result.source === source && result.name === of);
      if (other === undefined) continue;
      const { median } = pairedRatio(seconds(other.runs), seconds(own.runs));
      rows.push([`${source}: speed of ${of}`, `≥ ${atLeast}`, median.toFixed(2), median >= atLeast ? 'reached' : 'missed']);
    }
    const peakBytes = Math.max(...own.runs.map((run) => run.ownPeakBytes + run.childrenPeakBytes));
    rows.push([`${source}: memory of worker and image servers`, `< ${mebibytes(memoryAimBytes)} MiB`, `${mebibytes(peakBytes)} MiB`, peakBytes < memoryAimBytes ? 'reached' : 'missed']);
  }
  return markdownTable(['aim', 'wanted', 'measured', ''], rows);
}
