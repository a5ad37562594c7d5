// `holdfast verify`: reads a backup again, compares every digest, and watches.
import type { Command } from 'commander';
import { exitCodes } from '../exit-codes';
import { bytesOption, given } from '../options';
import { reportVerification } from '../report-verification';
import { leaf, runSession } from '../session';
import type { CommonOptions, Host, Session } from '../session';
import { describeStart, runDocument, watchRun } from '../watch-run';
import { whereBackup } from '../where-backup';

interface VerifyOptions extends CommonOptions {
  readonly chain?: boolean;
  readonly bandwidth?: number;
  readonly wait: boolean;
}

const example = ['holdfast verify 6f1c2d3e-0000-4000-8000-000000000001', 'holdfast verify 6f1c2d3e-0000-4000-8000-000000000001 --chain --bandwidth 100MiB'].join('\n');

export function addVerify(program: Command, { io, exitWith }: Host): void {
  leaf(program, 'verify <backup-id>', 'read a sealed backup again, compare every digest, and remember the outcome in the catalog', example)
    .option('--chain', 'also every backup that it lies on, down to the full one')
    .option('--engine <name>', 'engine whose copy slots count; default: HOLDFAST_ENGINE, else the one the backup came from')
    .option('--repository <name>', 'repository that has the backup; default: the catalog\'s answer, then HOLDFAST_REPOSITORY')
    .option('--bandwidth <rate>', 'limit for reading each disk, such as 50MiB per second', bytesOption)
    .option('--wait', 'watch until the run has ended (the default)', true)
    .option('--no-wait', 'start only, and print the workflow id')
    .action(async (backupId: string, options: VerifyOptions) => exitWith(await runSession(io, options, (session) => verify(session, backupId, options))));
}

async function verify(session: Session, backupId: string, options: VerifyOptions): Promise<number> {
  const client = await session.client();
  const { engine, repository } = await whereBackup(session, client, backupId, false, options);
  const handle = await client.verifyBackup({ engine, repository, backupId, chain: options.chain === true, ...given({ bandwidthBytesPerSecond: options.bandwidth }) });
  if (!session.json) session.io.out(describeStart(handle));
  if (options.wait) return watchRun(session, handle, reportVerification);
  if (session.json) session.print(runDocument(handle, 'started'), () => '');
  return exitCodes.ok.code;
}
