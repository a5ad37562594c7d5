// `npm run bench -- incremental`: what a small change costs beside a full backup, in bytes and in time. dev/bench.mjs brings up the parts.
import { writeFile } from 'node:fs/promises';
import { delimiter } from 'node:path';
import { parseArgs } from 'node:util';
import { HoldfastClient, type BackupVmRequest } from '../../client';
import { makeDisk } from '../copy/disk';
import { whyNotVirtnbdbackup } from '../measure/libvirt';
import { describeMachine, versionOf } from '../measure/machine';
import { alternating } from '../measure/statistics';
import { withWorkplace, type Workplace } from '../measure/workplace';
import { breakDown } from '../overhead/history';
import { Lab, type BenchVm } from './lab';
import { Peer } from './peer';
import { reportText, type IncrementalReport, type Job, type JobRun } from './report';

const gib = 1024 ** 3;
const mib = 1024 ** 2;
const text = { type: 'string' } as const;
/** So slow that the list of changes can be fetched while the transfer is open, by a process that a busy machine takes seconds to start. */
const slowCopySeconds = 8;

function readOptions() {
  const { values } = parseArgs({ options: { address: text, namespace: text, engine: text, repository: text, connection: text, labState: text, rounds: text, small: { type: 'boolean', default: false }, dir: text, json: text } });
  const { address = '', namespace = '', engine = '', repository = '', connection = '', labState = '', small, dir, json } = values;
  const rounds = Number(values.rounds ?? (small ? 1 : 5));
  if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error('--rounds is a whole number from 1');
  // A tenth of the disk is data.
  return { address, namespace, engine, repository, connection, labState, small, dir, json, rounds, virtualBytes: small ? 256 * mib : 10 * gib, changedBytes: small ? 8 * mib : 64 * mib };
}
type Options = ReturnType<typeof readOptions>;

/** Progress on stderr, the report alone on stdout. */
function say(line: string): void {
  console.error(line);
}

class Field {
  constructor(private readonly client: HoldfastClient, private readonly lab: Lab, private readonly options: Options, private readonly data: BenchVm, private readonly empty: BenchVm) {}

  /** The base comes before what lies on it; who begins changes. */
  async round(number: number): Promise<Readonly<Record<Job, JobRun>>> {
    const runs = new Map<Job, JobRun>();
    const turn = async (job: Job, vm: BenchVm, request: Partial<BackupVmRequest>): Promise<void> => {
      const run = await this.backUp(vm, request);
      runs.set(job, run);
      say(`${number === 0 ? 'warm-up' : `round ${number}`}  ${job}  ${run.seconds.toFixed(2)} s`);
    };
    const turns: readonly (() => Promise<void>)[] = [
      async () => {
        await turn('full', this.data, { kind: 'full' });
        await this.lab.change(this.data, this.options.changedBytes);
        await turn('incremental', this.data, { kind: 'incremental', strict: true });
      },
      () => turn('empty', this.empty, { kind: 'full' }),
    ];
    for (const each of alternating(turns, number + 1)[number] ?? []) await each();
    const of = (job: Job): JobRun => runs.get(job) ?? raise(`nothing was measured for ${job}`);
    return { full: of('full'), incremental: of('incremental'), empty: of('empty') };
  }

  /** Outside of any time. */
  async countChanges(): Promise<IncrementalReport['changes']> {
    await this.lab.change(this.data, this.options.changedBytes);
    const [dirtyBytes, { readBytes }] = await Promise.all([this.lab.dirtyBytes(this.data), this.backUp(this.data, { kind: 'incremental', strict: true, bandwidthBytesPerSecond: this.options.changedBytes / slowCopySeconds })]);
    return { dirtyBytes, readBytes };
  }

  private async backUp(vm: BenchVm, request: Partial<BackupVmRequest>): Promise<JobRun> {
    const { engine, repository } = this.options;
    const startedMs = performance.now();
    const handle = await this.client.backupVm({ engine, vmId: vm.vmId, repository, method: 'transfer', witness: 'never', ...request });
    const { warnings, backup } = await handle.result();
    const seconds = (performance.now() - startedMs) / 1000;
    if (warnings.length > 0) throw new Error(`the backup has warnings, so it measures something else: ${warnings.join('; ')}`);
    const history = breakDown(await this.client.temporal.workflow.getHandle(handle.workflowId, handle.temporalRunId).fetchHistory());
    return { seconds, readBytes: await this.lab.readBytes(vm), imageBytes: backup.imageBytes, ...history };
  }
}

function raise(message: string): never {
  throw new Error(message);
}

async function benchmark(place: Workplace, client: HoldfastClient, options: Options): Promise<IncrementalReport> {
  const env = { ...process.env, PATH: [process.env['PATH'], '/usr/sbin', '/sbin'].join(delimiter) };
  const { virtualBytes, changedBytes, small } = options;
  const whyNoPeer = small ? 'left out of --small' : whyNotVirtnbdbackup(env);
  const peerVersion = whyNoPeer === undefined ? versionOf('virtnbdbackup', '--version', env) : undefined;
  const machine = describeMachine(peerVersion === undefined ? {} : { virtnbdbackup: peerVersion });
  const startedAt = new Date().toISOString();
  say(`making a disk of ${(virtualBytes / gib).toFixed(2)} GiB and two VMs`);
  const disk = await makeDisk(place, virtualBytes, env);
  const lab = new Lab(place, { connection: options.connection, state: options.labState }, env);
  const field = new Field(client, lab, options, await lab.makeVm('bench-data', virtualBytes, disk.raw), await lab.makeVm('bench-empty', virtualBytes));
  const peer = whyNoPeer === undefined ? await Peer.start(place, disk.qcow2, virtualBytes, env) : undefined;
  if (!small) await field.round(0);
  if (peer) await peer.round(changedBytes);
  const rounds: IncrementalReport['rounds'][number][] = [];
  const peerRounds: IncrementalReport['peer'][number][] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    rounds.push(await field.round(round));
    if (peer) peerRounds.push(await peer.round(changedBytes));
  }
  const changes = await field.countChanges();
  return { benchmark: 'incremental', startedAt, machine, virtualBytes, dataBytes: disk.contentBytes, changedBytes, changes, rounds, peer: peerRounds, skipped: whyNoPeer === undefined ? [] : [`virtnbdbackup: ${whyNoPeer}`] };
}

async function main(): Promise<void> {
  const options = readOptions();
  const client = await HoldfastClient.connect({ address: options.address, namespace: options.namespace });
  try {
    const report = await withWorkplace(options.dir, (place) => benchmark(place, client, options));
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
    console.log(reportText(report));
  } finally {
    await client.close();
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode ||= 1;
});
