// The figures of the benchmark `incremental` as tables and as JSON. Pure.
import { machineText, type Machine } from '../measure/machine';
import { spreadOf, type Spread } from '../measure/statistics';
import { markdownTable, mebibytes } from '../measure/table';
import type { Breakdown } from '../overhead/history';
import { stepTable } from '../overhead/report';

export const jobs = ['full', 'incremental', 'empty'] as const;
export type Job = (typeof jobs)[number];

export interface JobRun extends Breakdown {
  /** From the client's start call to the result in its hands. */
  readonly seconds: number;
  /** As the data daemon's tickets count them. */
  readonly readBytes: number;
  /** In the repository. */
  readonly imageBytes: number;
}

export interface PeerRun {
  readonly seconds: number;
  /** Of what it wrote. */
  readonly imageBytes: number;
}

export interface IncrementalReport {
  readonly benchmark: 'incremental';
  readonly startedAt: string;
  readonly machine: Machine;
  readonly virtualBytes: number;
  readonly dataBytes: number;
  readonly changedBytes: number;
  /** An incremental backup outside of any time: what the host lists as changed, and what its tickets count as read. */
  readonly changes: { readonly dirtyBytes: number; readonly readBytes: number };
  /** Round by round. */
  readonly rounds: readonly Readonly<Record<Job, JobRun>>[];
  readonly peer: readonly Readonly<Record<Job, PeerRun>>[];
  readonly skipped: readonly string[];
}

/** Of issue 5. */
export const aims = { readPerDirty: 1.15, incrementalPerFull: 0.25 } as const;

/** What the change costs beside what everything costs, once what a backup of nothing costs is taken away: round by round, then the median. */
export function incrementalPerFull(rounds: readonly Readonly<Record<Job, { readonly seconds: number }>>[]): Spread {
  return spreadOf(rounds.map(({ full, incremental, empty }) => (incremental.seconds - empty.seconds) / (full.seconds - empty.seconds)));
}

export function reportText(report: IncrementalReport): string {
  const { startedAt, machine, virtualBytes, dataBytes, changedBytes, changes, rounds, peer, skipped } = report;
  const readPerDirty = changes.readBytes / changes.dirtyBytes;
  const perFull = incrementalPerFull(rounds);
  const judged = (value: number, limit: number): string => (value <= limit ? 'reached' : 'missed');
  return [
    `${startedAt.slice(0, 10)}. ${machineText(machine)}.`,
    `Whole backups by the method \`transfer\`, from the client's call to the result, of running VMs in the lab: a disk of ${(virtualBytes / 1024 ** 3).toFixed(2)} GiB with ${mebibytes(dataBytes)} MiB of data, to which the guest adds a file of ${mebibytes(changedBytes)} MiB before each incremental backup, and an empty disk of the same size. ` +
      `${rounds.length === 1 ? 'One round' : `Medians of ${rounds.length} alternating rounds`}. Temporal, PostgreSQL, lab, data daemon and worker on this machine.`,
    markdownTable(['aim', 'wanted', 'measured', 'low–high', ''], [
      ['bytes read at the daemon / dirty extents', `≤ ${aims.readPerDirty}`, readPerDirty.toFixed(3), '', judged(readPerDirty, aims.readPerDirty)],
      ['(incremental − empty) / (full − empty)', `≤ ${aims.incrementalPerFull}`, perFull.median.toFixed(3), `${perFull.low.toFixed(3)}–${perFull.high.toFixed(3)}`, judged(perFull.median, aims.incrementalPerFull)],
    ]),
    `Changed: the host listed ${(changes.dirtyBytes / 1024 ** 2).toFixed(1)} MiB as dirty, of which its tickets counted ${(changes.readBytes / 1024 ** 2).toFixed(1)} MiB as read (the rest was zeroes).`,
    jobTable(rounds),
    ...(peer.length === 0 ? [] : ['### Beside virtnbdbackup', peerTable(rounds, peer)]),
    ...(['full', 'incremental'] as const).flatMap((job) => [`### ${job}, step by step (medians, ms)`, stepTable(rounds.map((round) => round[job]))]),
    ...skipped,
  ].join('\n\n');
}

function jobTable(rounds: IncrementalReport['rounds']): string {
  const rows = jobs.map((job) => {
    const runs = rounds.map((round) => round[job]);
    const of = (pick: (run: JobRun) => number): Spread => spreadOf(runs.map(pick));
    const seconds = of((run) => run.seconds);
    const part = (pick: (run: JobRun) => number): string => (of(pick).median / 1000).toFixed(2);
    return [job, seconds.median.toFixed(2), `${seconds.low.toFixed(2)}–${seconds.high.toFixed(2)}`, mebibytes(of((run) => run.readBytes).median), mebibytes(of((run) => run.imageBytes).median), part((run) => run.workingMs), part((run) => run.waitingMs), part((run) => run.betweenMs)];
  });
  return markdownTable(['backup', 'seconds', 'low–high', 'MiB read', 'MiB stored', 'activities at work', 'waiting for a worker', 'workflow tasks'], rows);
}

function peerTable(rounds: IncrementalReport['rounds'], peer: IncrementalReport['peer']): string {
  const seconds = (of: readonly Readonly<Record<Job, { readonly seconds: number }>>[], job: Job): number => spreadOf(of.map((round) => round[job].seconds)).median;
  const rows = jobs.map((job) => {
    const [ours, theirs] = [seconds(rounds, job), seconds(peer, job)];
    return [job, ours.toFixed(2), theirs.toFixed(2), mebibytes(spreadOf(peer.map((round) => round[job].imageBytes)).median), (theirs / ours).toFixed(2)];
  });
  const ratio = (of: readonly Readonly<Record<Job, { readonly seconds: number }>>[]): string => incrementalPerFull(of).median.toFixed(3);
  return markdownTable(['backup', 'Holdfast s', 'virtnbdbackup s', 'its MiB stored', 'Holdfast is × as fast'], [...rows, ['(incremental − empty) / (full − empty)', ratio(rounds), ratio(peer), '', '']]);
}
