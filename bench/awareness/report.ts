// The awareness benchmark's figures as tables and as JSON. Pure.
import type { VmJudgement } from '../../adapters/catalog/port-inventory';
import { machineText, type Machine } from '../measure/machine';
import { spreadOf } from '../measure/statistics';
import { markdownTable, mebibytes } from '../measure/table';

export interface AwarenessReport {
  readonly benchmark: 'awareness';
  readonly startedAt: string;
  readonly machine: Machine;
  readonly vms: number;
  readonly backups: number;
  /** The first evaluation, which writes the whole list of what is wrong. */
  readonly firstSeconds: number;
  readonly seconds: readonly number[];
  /** Resident memory of this process before the evaluations and after each. */
  readonly rssBytes: readonly number[];
  readonly answerBytes: number;
  readonly judgement: VmJudgement;
  readonly plan: readonly string[];
}

export const aims = { seconds: 1, grownBytes: 16 * 1024 ** 2 } as const;

export function grownBytes({ rssBytes }: Pick<AwarenessReport, 'rssBytes'>): number {
  return (rssBytes.at(-1) ?? 0) - (rssBytes[0] ?? 0);
}

export function isReached(report: Pick<AwarenessReport, 'rssBytes' | 'seconds'>): boolean {
  return Math.max(...report.seconds) < aims.seconds && grownBytes(report) < aims.grownBytes;
}

export function reportText(report: AwarenessReport): string {
  const { startedAt, machine, seconds, judgement } = report;
  const spread = spreadOf(seconds);
  const word = (isGood: boolean): string => (isGood ? 'reached' : 'missed');
  const rows = [
    [`each of ${seconds.length} evaluations, warm`, `< ${aims.seconds} s`, `${spread.median.toFixed(2)} s`, `${spread.low.toFixed(2)}–${spread.high.toFixed(2)}`, word(spread.high < aims.seconds)],
    ['growth of resident memory', `< ${mebibytes(aims.grownBytes)} MiB`, `${mebibytes(grownBytes(report))} MiB`, '', word(grownBytes(report) < aims.grownBytes)],
  ];
  const states = [...judgement.objectives, { objective: '(none)', ...judgement.uncovered }].map(({ objective, vms, wrong }) => [objective, String(vms), String(wrong.never ?? 0), String(wrong['too-old'] ?? 0), String(wrong['not-verified'] ?? 0), String(wrong.uncovered ?? 0)]);
  return [
    `${startedAt.slice(0, 10)}. ${machineText(machine)}.`,
    `${report.vms} VMs with ${report.backups} backups in PostgreSQL, from the call of the catalog to its answer of ${report.answerBytes} bytes. The first evaluation, which writes the whole list of VMs without a fresh backup, took ${report.firstSeconds.toFixed(2)} s.`,
    markdownTable(['aim', 'wanted', 'measured', 'low–high', ''], rows),
    markdownTable(['objective', 'VMs', 'never', 'too old', 'not verified', 'uncovered'], states),
    '### EXPLAIN (ANALYZE, BUFFERS)',
    ['```', ...report.plan, '```'].join('\n'),
  ].join('\n\n');
}
