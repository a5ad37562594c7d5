// `holdfast restore vm`: restores a backup as a new VM and watches it.
import type { Command } from 'commander';
import { HoldfastClientError } from '../../errors';
import type { HoldfastClient } from '../../holdfast-client';
import { exitCodes } from '../exit-codes';
import { bytesOption, given } from '../options';
import { reportRestore } from '../report';
import { leaf, runSession } from '../session';
import type { CommonOptions, Host, Session } from '../session';
import { describeStart, runDocument, watchRun } from '../watch-run';

interface RestoreOptions extends CommonOptions {
  readonly name: string;
  readonly appliance?: string;
  readonly cluster?: string;
  readonly storageDomain?: string;
  readonly start?: boolean;
  readonly requestId?: string;
  readonly bandwidth?: number;
  readonly wait: boolean;
}

export function addRestore(program: Command, { io, exitWith }: Host): void {
  const restore = program.command('restore').description('restore');
  leaf(restore, 'vm <backup-id>', 'restore a backup as a new VM and watch it', 'holdfast restore vm 6f1c2d3e-0000-4000-8000-000000000001 --name demo-restored --start')
    .requiredOption('--name <name>', 'name of the new VM')
    .option('--engine <name>', 'engine to restore to; default: HOLDFAST_ENGINE, else the one the backup came from')
    .option('--repository <name>', 'repository that has the backup; default: the catalog\'s answer, then HOLDFAST_REPOSITORY')
    .option('--appliance <id>', 'VM id of the appliance; default: the engine\'s first configured one')
    .option('--cluster <id>', 'cluster id; default: the cluster the VM came from')
    .option('--storage-domain <id>', 'storage domain id for all disks; default: each disk\'s own')
    .option('--start', 'start the VM when it is restored')
    .option('--request-id <uuid>', 'unique for ever; give one to be safe against restoring twice')
    .option('--bandwidth <rate>', 'limit for each disk, such as 50MiB per second', bytesOption)
    .option('--wait', 'watch until the run has ended (the default)', true)
    .option('--no-wait', 'start only, and print the workflow id')
    .action(async (backupId: string, options: RestoreOptions) => exitWith(await runSession(io, options, (session) => restoreVm(session, backupId, options))));
}

async function restoreVm(session: Session, backupId: string, options: RestoreOptions): Promise<number> {
  const client = await session.client();
  const handle = await client.restoreVm({
    ...(await whereFrom(session, client, backupId, options)),
    backupId,
    name: options.name,
    start: options.start === true,
    ...given({ applianceId: options.appliance, clusterId: options.cluster, storageDomainId: options.storageDomain, requestId: options.requestId, bandwidthBytesPerSecond: options.bandwidth }),
  });
  if (!session.json) session.io.out(describeStart(handle));
  if (options.wait) return watchRun(session, handle, reportRestore);
  if (session.json) session.print(runDocument(handle, 'started'), () => '');
  return exitCodes.ok.code;
}

/** With both flags given nothing is asked: a restore must be possible when the catalog knows nothing. */
async function whereFrom(session: Session, client: HoldfastClient, backupId: string, options: RestoreOptions): Promise<{ readonly engine: string; readonly repository: string }> {
  if (options.engine !== undefined && options.repository !== undefined) return { engine: options.engine, repository: options.repository };
  const { backups } = await client.listBackups({ backupId });
  const known = backups.find((backup) => options.repository === undefined || backup.repository === options.repository);
  const repository = options.repository ?? known?.repository ?? session.config.repository;
  const engine = session.config.engine ?? known?.engine;
  if (repository !== undefined && engine !== undefined) return { engine, repository };
  throw new HoldfastClientError('client.not-found', `The catalog has no backup ${backupId}. If it is in a repository all the same, name that with --repository and the engine with --engine, or rebuild the catalog (holdfast catalog rebuild).`, { backupId });
}
