// docs/fault-matrix.md: what a whole run of the matrix measured, and nothing else.
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { humanBytes } from '../../domain/units';
import type { CellResult } from './cell';

const file = path.resolve(__dirname, '../../docs/fault-matrix.md');
const cellOf = (text: string): string => text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '<id>').replaceAll('|', '\\|').replaceAll('\n', ' ');

/** Warnings that a run ends with are told by their kind: their ids are of this one run. */
function row({ cell, fault, ended, seconds, bytesMovedAgain, problems }: CellResult): string {
  const how = problems.length === 0 ? ended : `RED: ${problems.join('; ')}`;
  return `| ${[cellOf(cell), cellOf(fault), cellOf(how), seconds.toFixed(1), bytesMovedAgain === undefined ? '' : humanBytes(bytesMovedAgain)].join(' | ')} |`;
}

export async function writeMatrix(results: readonly CellResult[], lanes: number): Promise<void> {
  const red = results.filter(({ problems }) => problems.length > 0).length;
  const lines = [
    '# Fault matrix',
    '',
    'Written by `npm run test:crash`, which runs every cell on real parts: a run of `backupVm` or `restoreVm`, one thing killed or going wrong in the engine',
    'or its host, or a cancel, and a look from outside when the run has ended (engine API, QEMU monitors, processes, mounts, sockets, directories, the',
    'repository through qemu-img; never the catalog). A green cell means: the fault fired (faults of the lab: by the lab\'s own count), the run ended as named,',
    'at most one snapshot was ever begun, a sealed backup or restored disk has the bytes of its source, and nothing is left in the engine, on the appliance,',
    'in the repository or as a process, but what the run itself names because nobody could remove it. The cells of a flow come from a recorded run of it.',
    '',
    `${results.length} cells, ${red} red. Machine: ${os.cpus().length} cores, up to ${lanes} runs side by side, Linux ${os.release().split('-')[0] ?? ''}, Node ${process.version}; ${new Date().toISOString().slice(0, 10)}.`,
    'Seconds are of the whole run, from its start to its end. A dead worker is missed after 4 s of silence in a wait or copy and after 6 s in a short call (both',
    'configurable; the defaults are longer). The last column is measured at the QEMU that serves the disk, for a disk of 96 MiB.',
    '',
    '| cell | fault fired | how it ended | seconds | moved again |',
    '|---|---|---|---|---|',
    ...results.map(row),
    '',
  ];
  await writeFile(file, lines.join('\n'));
}
