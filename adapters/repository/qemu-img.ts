// qemu-img, as far as the repository needs it. It dies with its parent, like the image servers.
import { execFile } from 'node:child_process';
import { z } from 'zod';
import { HoldfastError } from '../../domain/failures';

interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const infoSchema = z.object({
  'virtual-size': z.number(),
  format: z.string(),
  'backing-filename': z.string().optional(),
  'backing-filename-format': z.string().optional(),
  'format-specific': z.object({ data: z.object({ 'data-file': z.string().optional() }) }).optional(),
});
export interface ImageInfo {
  readonly virtualBytes: number;
  readonly format: string;
  /** As the header spells it. */
  readonly backingFile: string | undefined;
  readonly backingFormat: string | undefined;
  /** A file of its own that holds the data; ours have none. */
  readonly dataFile: string | undefined;
}

function run(args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    execFile('setpriv', ['--pdeathsig', 'KILL', '--', 'qemu-img', ...args], { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(new HoldfastError('blocks.server', `qemu-img cannot be run: ${error.message}. Install qemu-utils and util-linux.`, {}, { cause: error }));
      else resolve({ exitCode: typeof error?.code === 'number' ? error.code : 0, stdout, stderr: stderr.trim() });
    });
  });
}

function failure(what: string, path: string, { stderr }: Outcome): HoldfastError {
  if (/Failed to get (shared )?"\w+" lock/.test(stderr)) return new HoldfastError('repository.held', `${path} is open in another process, perhaps on another host: ${stderr}. It is tried again.`, { path });
  if (/No space left/.test(stderr)) return new HoldfastError('repository.full', `${what} ${path} failed: ${stderr}. Free space in the repository.`, { path });
  return new HoldfastError('repository.corrupt', `${what} ${path} failed: ${stderr}.`, { path });
}

/** `backingFile` is relative to the image's directory. */
export async function createImage(path: string, virtualBytes: number, backingFile?: string): Promise<void> {
  const backing = backingFile === undefined ? [] : ['-b', backingFile, '-F', 'qcow2'];
  const outcome = await run(['create', '-q', '-f', 'qcow2', ...backing, '-o', 'cluster_size=65536,lazy_refcounts=off', path, String(virtualBytes)]);
  if (outcome.exitCode !== 0) throw failure('Creating', path, outcome);
}

/** Clusters that a killed server left behind are given back. Throws `repository.corrupt` when more than that is wrong. */
export async function checkImage(path: string): Promise<void> {
  const outcome = await run(['check', '-q', '-f', 'qcow2', path]);
  const leaks = outcome.exitCode === 3;
  const mended = leaks ? await run(['check', '-q', '-f', 'qcow2', '-r', 'leaks', path]) : outcome;
  if (mended.exitCode !== 0) throw failure('Checking', path, { ...mended, stderr: mended.stderr === '' ? `qemu-img check ended with ${mended.exitCode}` : mended.stderr });
}

/** What the image's own header says; nothing that it names is opened. */
export async function imageInfo(path: string): Promise<ImageInfo> {
  const outcome = await run(['info', '--output=json', '-f', 'qcow2', path]);
  if (outcome.exitCode !== 0) throw failure('Reading', path, outcome);
  const info = infoSchema.parse(JSON.parse(outcome.stdout));
  return {
    virtualBytes: info['virtual-size'],
    format: info.format,
    backingFile: info['backing-filename'],
    backingFormat: info['backing-filename-format'],
    dataFile: info['format-specific']?.data['data-file'],
  };
}
