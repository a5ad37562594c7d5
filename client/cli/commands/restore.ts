// `holdfast restore vm`: restores one backup or several, as new VMs, as the originals or in their place, and watches.
import type { Command } from 'commander';
import { HoldfastClientError } from '../../errors';
import type { HoldfastClient, RestoreRequest } from '../../holdfast-client';
import type { RestoreHandle } from '../../run-handle';
import { exitCodes } from '../exit-codes';
import { bytesOption, collect, given, pairOption } from '../options';
import type { Pair } from '../options';
import { printError } from '../print-error';
import { reportRestore } from '../report';
import { leaf, runSession } from '../session';
import type { CommonOptions, Host, Session } from '../session';
import { describeStart, runDocument, watchRun } from '../watch-run';
import { watchRuns } from '../watch-runs';
import { whereBackup } from '../where-backup';

interface RestoreOptions extends CommonOptions {
  readonly name: readonly string[];
  readonly original?: boolean;
  readonly replace?: boolean;
  readonly vm?: string;
  readonly method?: string;
  readonly appliance?: string;
  readonly cluster?: string;
  readonly disk: readonly string[];
  readonly storageDomain?: string;
  readonly storageDomainMap: readonly Pair[];
  readonly diskStorageDomain: readonly Pair[];
  readonly network: readonly Pair[];
  readonly macs?: string;
  readonly mac: readonly Pair[];
  readonly oldDisks?: string;
  readonly start?: boolean;
  readonly requestId?: string;
  readonly bandwidth?: number;
  readonly wait: boolean;
}

const example = [
  'holdfast restore vm 6f1c2d3e-0000-4000-8000-000000000001 --name demo-restored --start',
  'holdfast restore vm 6f1c2d3e-0000-4000-8000-000000000001 --original --storage-domain data-2',
  'holdfast restore vm 6f1c2d3e-0000-4000-8000-000000000001 --replace --old-disks none',
  'holdfast restore vm 6f1c2d3e-0000-4000-8000-000000000001 --name demo-lab --network ovirtmgmt=lab/isolated --network dmz=none --mac nic1=56:6f:1a:b0:00:01',
  'holdfast restore vm 6f1c2d3e-0000-4000-8000-000000000001 --name demo-restored --method transfer',
  'holdfast restore vm 6f1c2d3e-0000-4000-8000-000000000001 6f1c2d3e-0000-4000-8000-000000000002 --original --no-wait',
].join('\n');

export function addRestore(program: Command, { io, exitWith }: Host): void {
  const restore = program.command('restore').description('restore');
  leaf(restore, 'vm <backup-id...>', 'restore backups as new VMs, as the originals that are gone, or in the originals\' place, and watch', example)
    .option('--name <name>', 'name of the restored VM; a new VM needs one; for several backups once each, in their order', collect, [])
    .option('--original', 'as the VM that was backed up, which must be gone: same id, name and MAC addresses')
    .option('--replace', 'in the place of the VM that was backed up, which must be down and without snapshots')
    .option('--vm <id>', 'id of the VM that was backed up, for --original and --replace; default: what the catalog says')
    .option('--engine <name>', 'engine to restore to; default: HOLDFAST_ENGINE, else the one the backup came from')
    .option('--repository <name>', 'repository that has the backup; default: the catalog\'s answer, then HOLDFAST_REPOSITORY')
    .option('--method <method>', 'appliance (default), transfer (uploads through a host; needs no appliance), or auto')
    .option('--appliance <id>', 'VM id of the appliance; default: the engine\'s first configured one')
    .option('--cluster <name>', 'cluster, by name or id; default: the cluster the VM came from')
    .option('--disk <disk-id>', 'restore only this disk of the backup; may be repeated', collect, [])
    .option('--storage-domain <name>', 'storage domain for all disks, by name or id; default: each disk\'s own')
    .option('--storage-domain-map <from=to>', 'for disks that came from one storage domain, another; may be repeated', pairOption, [])
    .option('--disk-storage-domain <disk-id=name>', 'storage domain of one disk; may be repeated', pairOption, [])
    .option('--network <from=to>', 'for NICs on <network> or <network>/<profile>: <network>, <network>/<profile>, a profile\'s id, or none; may be repeated', pairOption, [])
    .option('--macs <which>', 'keep or new; default: new for a new VM, else keep')
    .option('--mac <nic=address>', 'MAC address of one NIC, by its name; may be repeated', pairOption, [])
    .option('--old-disks <which>', 'with --replace, which old disks are removed in the end: restored (default), all or none')
    .option('--start', 'start the VM when it is restored')
    .option('--request-id <uuid>', 'unique for ever; give one to be safe against restoring twice')
    .option('--bandwidth <rate>', 'limit for each disk, such as 50MiB per second', bytesOption)
    .option('--wait', 'watch until the runs have ended (the default)', true)
    .option('--no-wait', 'start only, and print the workflow ids')
    .action(async (backupIds: readonly string[], options: RestoreOptions) => exitWith(await runSession(io, options, (session) => restoreVms(session, backupIds, options))));
}

async function restoreVms(session: Session, backupIds: readonly string[], options: RestoreOptions): Promise<number> {
  checkTogether(backupIds, options);
  const client = await session.client();
  const [first, ...others] = backupIds;
  if (first !== undefined && others.length === 0) return restoreOne(session, await client.restoreVm(await requestFor(session, client, first, 0, options)), options);
  const started: RestoreHandle[] = [];
  let worst: number = exitCodes.ok.code;
  for (const [index, backupId] of backupIds.entries()) {
    try {
      started.push(await client.restoreVm(await requestFor(session, client, backupId, index, options)));
    } catch (error) {
      // The others go on: each restore is a run of its own.
      worst = Math.max(worst, printError(session.io, error, false));
    }
  }
  if (!session.json) for (const handle of started) session.io.out(describeStart(handle));
  if (options.wait) return Math.max(worst, await watchRuns(session, started, reportRestore));
  session.print({ runs: started.map((handle) => runDocument(handle, 'started')) }, () => '');
  return worst;
}

async function restoreOne(session: Session, handle: RestoreHandle, { wait }: RestoreOptions): Promise<number> {
  if (!session.json) session.io.out(describeStart(handle));
  if (wait) return watchRun(session, handle, reportRestore);
  if (session.json) session.print(runDocument(handle, 'started'), () => '');
  return exitCodes.ok.code;
}

function checkTogether(backupIds: readonly string[], { name, original, replace, vm, requestId }: RestoreOptions): void {
  const invalid = (message: string): never => {
    throw new HoldfastClientError('input.invalid', message);
  };
  if (original && replace) invalid('--original and --replace exclude each other: the VM is gone, or it is there to be replaced.');
  if (!original && !replace && name.length !== backupIds.length) invalid(`A new VM needs a name: give --name ${backupIds.length === 1 ? 'once' : `${backupIds.length} times, in the order of the backups`}, or say --original or --replace.`);
  if (name.length > 0 && name.length !== backupIds.length) invalid(`--name is given ${name.length} times for ${backupIds.length} backups: give it once each, in their order, or not at all.`);
  if (backupIds.length > 1 && (vm !== undefined || requestId !== undefined)) invalid('--vm and --request-id are for one backup: each restore has its own.');
}

async function requestFor(session: Session, client: HoldfastClient, backupId: string, index: number, options: RestoreOptions): Promise<RestoreRequest> {
  const as = options.original ? 'original' : options.replace ? 'replace' : 'new';
  const request = {
    ...(await whereBackup(session, client, backupId, as !== 'new', options)),
    backupId,
    as,
    start: options.start === true,
    storageDomainMap: [...options.storageDomainMap],
    storageDomainOfDisk: options.diskStorageDomain.map(({ from: diskId, to: storageDomain }) => ({ diskId, storageDomain })),
    networks: options.network.map(({ from, to }) => ({ from, to: to === 'none' ? null : to })),
    macOfNic: options.mac.map(({ from: nic, to: mac }) => ({ nic, mac: mac.toLowerCase() })),
    ...given({
      name: options.name[index], method: options.method, applianceId: options.appliance, cluster: options.cluster, storageDomain: options.storageDomain, macs: options.macs, oldDisks: options.oldDisks,
      requestId: options.requestId, bandwidthBytesPerSecond: options.bandwidth, diskIds: options.disk.length > 0 ? [...options.disk] : undefined,
    }),
  };
  // The client's own check refuses any other word, naming the field.
  return request as RestoreRequest;
}
