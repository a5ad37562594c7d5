// `holdfast backup vm`: starts a backup and watches it.
import type { Command } from 'commander';
import { exitCodes } from '../exit-codes';
import { bytesOption, collect, given } from '../options';
import { reportBackup } from '../report';
import { leaf, runSession } from '../session';
import type { CommonOptions, Host, Session } from '../session';
import { describeStart, runDocument, watchRun } from '../watch-run';

interface BackupOptions extends CommonOptions {
  readonly method?: string;
  readonly kind?: string;
  readonly appliance?: string;
  readonly quiesce?: string;
  readonly leaveOut: readonly string[];
  readonly bandwidth?: number;
  readonly wait: boolean;
}

export function addBackup(program: Command, { io, exitWith }: Host): void {
  const backup = program.command('backup').description('back up');
  leaf(backup, 'vm <vm>', 'back up one VM, by name or id, and watch it', 'holdfast backup vm demo --engine lab --repository main --bandwidth 100MiB')
    .option('--engine <name>', 'engine, as the workers\' configuration names it (HOLDFAST_ENGINE)')
    .option('--repository <name>', 'repository, as the workers\' configuration names it (HOLDFAST_REPOSITORY)')
    .option('--method <method>', 'how data leaves oVirt; so far only: appliance')
    .option('--kind <kind>', 'so far only: full')
    .option('--appliance <id>', 'VM id of the appliance; default: the engine\'s first configured one')
    .option('--quiesce <level>', 'required, best-effort or off; default: best-effort')
    .option('--leave-out <disk-id>', 'a disk that is not backed up; may be repeated', collect, [])
    .option('--bandwidth <rate>', 'limit for reading each disk, such as 50MiB per second', bytesOption)
    .option('--wait', 'watch until the run has ended (the default)', true)
    .option('--no-wait', 'start only, and print the workflow id')
    .action(async (vm: string, options: BackupOptions) => exitWith(await runSession(io, options, (session) => backupVm(session, vm, options))));
}

async function backupVm(session: Session, nameOrId: string, options: BackupOptions): Promise<number> {
  const engine = session.engine();
  const repository = session.repository();
  const client = await session.client();
  const vm = await client.resolveVm(engine, nameOrId);
  const request = {
    engine,
    vmId: vm.id,
    repository,
    leaveOutDiskIds: [...options.leaveOut],
    ...given({ method: options.method, kind: options.kind, applianceId: options.appliance, quiesce: options.quiesce, bandwidthBytesPerSecond: options.bandwidth }),
  };
  // The client's own check refuses any other word, naming the field.
  const handle = await client.backupVm(request as Parameters<typeof client.backupVm>[0], { vmName: vm.name });
  if (!session.json) session.io.out(describeStart(handle));
  if (options.wait) return watchRun(session, handle, reportBackup);
  if (session.json) session.print(runDocument(handle, 'started'), () => '');
  return exitCodes.ok.code;
}

