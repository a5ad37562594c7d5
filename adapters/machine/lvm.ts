// LVM's configuration on this machine, as LVM itself reads it (`lvmconfig` merges defaults, lvm.conf, lvmlocal.conf and profiles).
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LvmFacts } from '../../domain/doctor/judge-lvm';
import { HoldfastError } from '../../domain/failures';

const deadlineMs = 10_000;
/** Not in the PATH of ordinary users. */
const places = ['lvmconfig', '/usr/sbin/lvmconfig', '/sbin/lvmconfig'];
const settings = ['use_devicesfile', 'devicesfile', 'global_filter', 'filter'] as const;

export interface LvmPlaces {
  /** Where LVM keeps its devices file. */
  readonly devicesDirectory: string;
  /** Where its program may be; the first that runs is asked. */
  readonly programs: readonly string[];
}

export const usualLvmPlaces: LvmPlaces = { devicesDirectory: '/etc/lvm/devices', programs: places };

export async function examineLvm({ devicesDirectory, programs }: LvmPlaces = usualLvmPlaces): Promise<LvmFacts> {
  const values = await readSettings(programs);
  if (values === undefined) return { installed: false };
  const devicesFile = join(devicesDirectory, wordsIn(values.get('devicesfile'))[0] ?? 'system.devices');
  return {
    installed: true,
    useDevicesFile: values.get('use_devicesfile') === '1',
    devicesFile,
    devicesFileEntries: await countEntries(devicesFile),
    globalFilter: wordsIn(values.get('global_filter')),
    filter: wordsIn(values.get('filter')),
  };
}

/** undefined: LVM is not installed. A setting that this LVM does not know (devices files came with 2.03.12) is absent. */
async function readSettings(programs: readonly string[]): Promise<ReadonlyMap<string, string> | undefined> {
  const program = await findProgram(programs);
  if (program === undefined) return undefined;
  const values = new Map<string, string>();
  for (const setting of settings) {
    const { stdout } = await run(program, ['--typeconfig', 'full', `devices/${setting}`]);
    const value = new RegExp(`^\\s*${setting}\\s*=\\s*(.*)$`, 'm').exec(stdout)?.[1];
    if (value !== undefined) values.set(setting, value);
  }
  if (values.size === 0) throw new HoldfastError('config.invalid', `${program} tells nothing about its devices: run it by hand (${program} --typeconfig full devices/global_filter).`);
  return values;
}

async function findProgram(programs: readonly string[]): Promise<string | undefined> {
  for (const place of programs) if ((await run(place, ['--version'])).found) return place;
  return undefined;
}

function run(program: string, args: readonly string[]): Promise<{ readonly found: boolean; readonly stdout: string }> {
  return new Promise((resolve) => {
    // EACCES: it may not be run, or is nowhere in a PATH of which this user may not read every directory (execvp).
    execFile(program, args, { timeout: deadlineMs }, (error, stdout) => resolve({ found: error?.code !== 'ENOENT' && error?.code !== 'EACCES', stdout }));
  });
}

/** `["a|^/dev/vda|","r|.*|"]`, `"system.devices"`: quoted words. */
function wordsIn(value: string | undefined): readonly string[] {
  return [...(value ?? '').matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word = '']) => word.replace(/\\(.)/g, '$1'));
}

async function countEntries(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text?.split('\n').filter((line) => line.startsWith('IDTYPE=')).length;
}
