// `holdfast backup vm`: starts a backup and watches it.
import type { Command } from 'commander';
import { exitCodes } from '../exit-codes';
import { bytesOption, collect, given, witnessOption } from '../options';
import { reportBackup } from '../report';
import { leaf, runSession } from '../session';
import type { CommonOptions, Host, Session } from '../session';
import { describeStart, runDocument, watchRun } from '../watch-run';

interface BackupOptions extends CommonOptions {
  readonly method?: string;
  readonly kind?: string;
  readonly strictKind?: boolean;
  readonly witness?: ReturnType<typeof witnessOption>;
  readonly appliance?: string;
  readonly quiesce?: string;
  readonly explicitFreeze?: boolean;
  readonly guestHook?: boolean;
  readonly leaveOut: readonly string[];
  readonly bandwidth?: number;
  readonly wait: boolean;
}

const example = [
  'holdfast backup vm demo --engine lab --repository main --bandwidth 100MiB',
  'holdfast backup vm demo --engine lab --repository main --method transfer',
  'holdfast backup vm demo --engine lab --repository main --method transfer --kind incremental --strict-kind --witness always',
].join('\n');

export function addBackup(program: Command, { io, exitWith }: Host): void {
  const backup = program.command('backup').description('back up');
  leaf(backup, 'vm <vm>', 'back up one VM, by name or id, and watch it', example)
    .option('--engine <name>', 'engine, as the workers\' configuration names it (HOLDFAST_ENGINE)')
    .option('--repository <name>', 'repository, as the workers\' configuration names it (HOLDFAST_REPOSITORY)')
    .option('--method <method>', 'how data leaves oVirt: appliance (default; whole disks through a VM with a worker in it), transfer (image transfers; can read what changed alone, needs no appliance), or auto: the run chooses and says why')
    .option('--kind <kind>', 'full, incremental (on the newest backup that can bear it), differential (on the last full one), or auto (default): incremental where that is possible')
    .option('--strict-kind', 'the asked kind or none: where a chain cannot be continued the run is refused, instead of a full backup with the reason')
    .option('--witness <when>', 'method transfer, the host compares the backup with the source: never, always, or every so many backups', witnessOption)
    .option('--appliance <id>', 'VM id of the appliance; default: the engine\'s first configured one')
    .option('--quiesce <level>', 'required (without evidence the run fails before the copy), best-effort or off; default: best-effort')
    .option('--explicit-freeze', 'Holdfast itself freezes the guest around the snapshot, for 8 seconds at most, and so can tell whether it was')
    .option('--guest-hook', 'the guest\'s agent runs a hook that brings applications to rest: a freeze that is proven counts as application-consistent')
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
    ...given({ method: options.method, kind: options.kind, strict: options.strictKind, witness: options.witness, applianceId: options.appliance, quiesce: options.quiesce, explicitFreeze: options.explicitFreeze, guestHook: options.guestHook, bandwidthBytesPerSecond: options.bandwidth }),
  };
  // The client's own check refuses any other word, naming the field.
  const handle = await client.backupVm(request as Parameters<typeof client.backupVm>[0], { vmName: vm.name });
  if (!session.json) session.io.out(describeStart(handle));
  if (options.wait) return watchRun(session, handle, reportBackup);
  if (session.json) session.print(runDocument(handle, 'started'), () => '');
  return exitCodes.ok.code;
}
