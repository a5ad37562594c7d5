// `npm run bench -- copy`: our copy beside the tools that people use today, on the same disk, in turn. See bench/README.md.
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { delimiter } from 'node:path';
import { parseArgs } from 'node:util';
import { whyNotVirtnbdbackup } from '../measure/libvirt';
import { describeMachine, versionOf } from '../measure/machine';
import { runCommand, type Measured } from '../measure/processes';
import { alternating } from '../measure/statistics';
import { withWorkplace, type Workplace } from '../measure/workplace';
import { commandContenders, names, type Contender } from './contenders';
import { makeDisk, type BenchDisk } from './disk';
import { Copier, holdfastContender } from './holdfast';
import { virtnbdbackupContender } from './libvirt';
import { reportText, type CopyReport } from './report';
import { deviceSource, nbdSource } from './sources';

interface Options {
  readonly virtualBytes: number;
  readonly rounds: number;
  readonly small: boolean;
  readonly dir: string | undefined;
  readonly json: string | undefined;
  readonly profile: string | undefined;
  readonly only: RegExp;
}

const gib = 1024 ** 3;
const mib = 1024 ** 2;
const usage = `usage: npm run bench -- copy [options]
  --rounds <n>      counted runs of each contender (5)
  --small           a 256 MiB disk, one run, no virtnbdbackup: does it work at all?
  --dir <directory> where disks and copies lie (default: the system's directory for temporary files)
  --json <file>     the figures of every run
  --only <regex>    only contenders and sources like "nbd: qemu-img convert" that match
  --profile <dir>   CPU profiles of our copy`;

function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({ args: [...args], options: { rounds: { type: 'string' }, small: { type: 'boolean', default: false }, dir: { type: 'string' }, json: { type: 'string' }, only: { type: 'string', default: '' }, profile: { type: 'string' } } });
  const rounds = Number(values.rounds ?? (values.small ? 1 : 5));
  if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error(`--rounds is a whole number from 1\n${usage}`);
  return { virtualBytes: values.small ? 256 * mib : 10 * gib, rounds, small: values.small, dir: values.dir, json: values.json, profile: values.profile, only: new RegExp(values.only) };
}

interface Field {
  readonly contenders: readonly Contender[];
  readonly sources: CopyReport['sources'];
  readonly skipped: readonly string[];
}

async function prepare(place: Workplace, disk: BenchDisk, options: Options, env: NodeJS.ProcessEnv): Promise<Field> {
  const diskId = randomUUID();
  const copier = new Copier(place, env, options.profile);
  const sources = [await nbdSource(place, disk, diskId, env), await deviceSource(place, disk, diskId, env)];
  const all = sources.flatMap((source) => [holdfastContender(place, copier, source, disk, diskId, names.holdfast), ...commandContenders(place, source, disk, env)]);
  const contenders = all.filter(({ source, name }) => options.only.test(`${source}: ${name}`));
  const skipped: string[] = [];
  if (versionOf('nbdcopy', '--version', env) === undefined) skipped.push(`${names.nbdcopy}: not installed: skipped, install with: apt-get install libnbd-bin`);
  const whyNot = options.small ? 'left out of --small' : whyNotVirtnbdbackup(env);
  if (whyNot !== undefined) skipped.push(`${names.virtnbdbackup}: ${whyNot}`);
  else if (options.only.test(`nbd: ${names.virtnbdbackup}`)) contenders.push(await virtnbdbackupContender(place, disk, env));
  const used = sources.filter(({ name }) => contenders.some(({ source }) => source === name));
  return { contenders, sources: Object.fromEntries(used.map(({ name, what }) => [name, what])), skipped };
}

/** Once for each, outside of the time, and the warm-up at the same time. */
async function prove(place: Workplace, contender: Contender, disk: BenchDisk, env: NodeJS.ProcessEnv): Promise<void> {
  await contender.clean();
  await contender.run();
  const { file, format } = await contender.image();
  await runCommand(['qemu-img', 'compare', '-f', format, '-F', 'raw', file, disk.raw], { signal: place.signal, env });
  await contender.clean();
}

async function race(place: Workplace, field: Field, rounds: number, say: (line: string) => void): Promise<ReadonlyMap<Contender, Measured[]>> {
  const runs = new Map<Contender, Measured[]>(field.contenders.map((contender) => [contender, []]));
  for (const [round, order] of alternating(field.contenders, rounds).entries()) {
    for (const contender of order) {
      place.signal.throwIfAborted();
      const measured = await contender.run();
      await contender.clean();
      runs.get(contender)?.push(measured);
      say(`round ${round + 1}  ${contender.source}: ${contender.name}  ${measured.seconds.toFixed(2)} s`);
    }
  }
  return runs;
}

async function benchmark(place: Workplace, options: Options, say: (line: string) => void): Promise<CopyReport> {
  // mkfs.ext4 and losetup lie where an ordinary user's PATH does not lead.
  const env = { ...process.env, PATH: [process.env['PATH'], '/usr/sbin', '/sbin'].join(delimiter) };
  const versions = Object.entries({ 'qemu-img': '--version', nbdcopy: '--version', virtnbdbackup: '--version' }).map(([program, flag]) => [program, versionOf(program, flag, env)?.replace(/^.*version |^nbdcopy /, '')]);
  const machine = describeMachine(Object.fromEntries(versions.filter(([, version]) => version !== undefined)) as Record<string, string>);
  const startedAt = new Date().toISOString();
  say(`making a disk of ${(options.virtualBytes / gib).toFixed(2)} GiB`);
  const disk = await makeDisk(place, options.virtualBytes, env);
  const field = await prepare(place, disk, options, env);
  for (const contender of field.contenders) {
    say(`warm-up and proof  ${contender.source}: ${contender.name}`);
    await prove(place, contender, disk, env);
  }
  const runs = await race(place, field, options.rounds, say);
  const results = [...runs].map(([{ name, source }, measured]) => ({ name, source, runs: measured }));
  return { benchmark: 'copy', startedAt, machine, virtualBytes: disk.virtualBytes, dataBytes: disk.dataBytes, sources: field.sources, rounds: options.rounds, results, skipped: field.skipped };
}

/** Progress on stderr, the report alone on stdout. */
function say(line: string): void {
  console.error(line);
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const report = await withWorkplace(options.dir, (place) => benchmark(place, options, say));
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  console.log(reportText(report));
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode ||= 1;
});
