// docs/fault-matrix.md: what a whole run of the matrix measured, and nothing else.
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { humanBytes } from '../../domain/units';
import type { CellResult } from './cell';
import type { Method } from './runs';

const file = path.resolve(__dirname, '../../docs/fault-matrix.md');
const cellOf = (text: string): string => text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '<id>').replaceAll('|', '\\|').replaceAll('\n', ' ');

/** Warnings that a run ends with are told by their kind: their ids are of this one run. */
function row({ cell, fault, ended, seconds, bytesMovedAgain, problems }: CellResult): string {
  const how = problems.length === 0 ? ended : `RED: ${problems.join('; ')}`;
  return `| ${[cellOf(cell), cellOf(fault), cellOf(how), seconds.toFixed(1), bytesMovedAgain === undefined ? '' : humanBytes(bytesMovedAgain)].join(' | ')} |`;
}

const sections: readonly (readonly [Method, string])[] = [
  ['appliance', 'Method `appliance`: the disks of a snapshot, attached to a VM with a worker in it'],
  ['transfer', 'Method `transfer`: VM backups and image transfers, chains of incremental backups, and their verification'],
];

function section(title: string, results: readonly CellResult[]): readonly string[] {
  return [`## ${title}`, '', `${results.length} cells, ${redOf(results)} red.`, '', '| cell | fault fired | how it ended | seconds | moved again |', '|---|---|---|---|---|', ...results.map(row), ''];
}

const redOf = (results: readonly CellResult[]): number => results.filter(({ problems }) => problems.length > 0).length;

export async function writeMatrix(results: readonly CellResult[], lanes: number, costs: string): Promise<void> {
  const lines = [
    '# Fault matrix',
    '',
    'Written by `npm run test:crash`, which runs every cell on real parts: a run of `backupVm`, `restoreVm` or `verifyBackup`, one thing killed or going wrong in',
    'the engine or its host, or a cancel, and a look from outside when the run has ended (engine API, QEMU monitors, processes, mounts, sockets, directories, the',
    'host\'s data daemon, the repository through qemu-img; never the catalog). A green cell means: the fault fired (faults of the lab: by the lab\'s own count), the',
    'run ended as named, at most one snapshot or VM backup was ever begun (two where an incremental backup became a full one), a sealed backup or restored disk has',
    'the bytes of its source, and nothing is left in the engine, on host or appliance, in the repository or as a process, but what the run itself names because',
    'nobody could remove it. The cells of a flow come from a recorded run of it; a shape of run has those in which it differs from the ones before it.',
    '',
    `${results.length} cells, ${redOf(results)} red. Machine: ${os.cpus().length} cores, up to ${lanes} runs side by side, Linux ${os.release().split('-')[0] ?? ''}, Node ${process.version}; ${new Date().toISOString().slice(0, 10)}.`,
    `What it cost: ${costs}.`,
    'Seconds are of the whole run, from its start to its end. A dead worker is missed after 4 s of silence (configurable; the default is longer). The last column is',
    'measured at the QEMU that has the disk (the appliance\'s, or the host\'s server of an image transfer), for a disk of 96 MiB of which all or half is to be moved.',
    '',
    ...sections.flatMap(([method, title]) => section(title, results.filter((result) => result.method === method))),
  ];
  await writeFile(file, lines.join('\n'));
}
