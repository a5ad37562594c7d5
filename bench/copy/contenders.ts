// Who copies: each makes a qcow2 image (virtnbdbackup: its own format) of the disk, durable when it ends.
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { versionOf } from '../measure/machine';
import { measureCommands, type Measured } from '../measure/processes';
import type { Workplace } from '../measure/workplace';
import { flush, type BenchDisk } from './disk';
import type { Source } from './sources';

export interface Contender {
  /** Unique in one benchmark. */
  readonly name: string;
  readonly source: Source['name'];
  run(): Promise<Measured>;
  /** The copy of the last run as an image that qemu-img can read. */
  image(): Promise<{ readonly file: string; readonly format: 'qcow2' | 'raw' }>;
  /** Removes the copy of the last run. */
  clean(): Promise<void>;
}

export const names = { holdfast: 'Holdfast', convert: 'qemu-img convert', direct: 'qemu-img convert -W -t none', hash: 'qemu-img convert, then SHA-256', nbdcopy: 'nbdcopy to qcow2', virtnbdbackup: 'virtnbdbackup' } as const;

/** OpenSSL uses the processor's SHA instructions and is three times quicker than coreutils here: the faster one is the opponent. */
export function hashCommand(env: NodeJS.ProcessEnv): readonly string[] {
  return versionOf('openssl', 'version', env) === undefined ? ['sha256sum'] : ['openssl', 'dgst', '-sha256'];
}

export function commandContenders(place: Workplace, source: Source, disk: BenchDisk, env: NodeJS.ProcessEnv): Contender[] {
  const target = path.join(place.directory, `copy-${source.name}.qcow2`);
  const options = { signal: place.signal, env };
  const contender = (name: string, commands: readonly (readonly string[])[]): Contender => ({
    name,
    source: source.name,
    // qemu-img's default (-t unsafe) never flushes and nbdcopy does so when asked: the same fsync for everybody, inside of the time.
    run: () => measureCommands(commands, options, () => flush(target)),
    image: () => Promise.resolve({ file: target, format: 'qcow2' }),
    clean: () => rm(target, { force: true }),
  });
  const convert = (...more: string[]): string[] => ['qemu-img', 'convert', ...more, ...source.input, '-O', 'qcow2', target];
  const found = [
    contender(names.convert, [convert()]),
    contender(names.direct, [convert('-W', '-m', '16', '-t', 'none')]),
    contender(names.hash, [convert(), [...hashCommand(env), target]]),
  ];
  if (source.uri !== undefined && versionOf('nbdcopy', '--version', env) !== undefined) {
    const server = ['[', 'qemu-nbd', '--format', 'qcow2', '--discard=unmap', target, ']'];
    found.push({ ...contender(names.nbdcopy, []), run: () => measureCommands([['qemu-img', 'create', '-q', '-f', 'qcow2', target, String(disk.virtualBytes)], ['nbdcopy', '--flush', '--', source.uri ?? '', ...server]], options, () => flush(target)) });
  }
  return found;
}
