// Backups of a VM and the disks in them.
import { needVm, type Context } from '../context';
import { finalizeBackup } from '../commands/end-backup';
import { startBackup } from '../commands/start-backup';
import { incomplete, invalidUuid, isUuid, notFound } from '../faults';
import { bodyId, done, many, one, param, type Answer, type Call, type Route } from '../http/call';
import { select } from '../http/search';
import type { BackupPhase, BackupRecord } from '../state/backup-model';
import { wire, type Wire } from '../wire/description';
import { diskView } from './disk-views';
import { href, links, ref } from './links';

/** What the API makes of the engine's phases; all others are called as they are. */
const phaseWords: Readonly<Partial<Record<BackupPhase, string>>> = {
  creating_scratch_disks: 'initializing',
  adding_bitmaps: 'initializing',
  waiting_for_bitmaps: 'initializing',
  finalizing_failure: 'finalizing',
  removing_snapshot: 'finalizing',
};

/** vm_backups.snapshot_id goes with the snapshot (fk_backups_snapshots, ON DELETE SET DEFAULT). */
function snapshotOf({ store }: Context, { snapshotId, vmId }: BackupRecord): { readonly snapshot?: ReturnType<typeof ref> } {
  const isThere = snapshotId !== undefined && store.tables.snapshots.get(snapshotId)?.type === 'regular';
  return isThere ? { snapshot: ref('vms', vmId, 'snapshots', snapshotId) } : {};
}

function view(context: Context, backup: BackupRecord): Wire {
  const own = ['vms', backup.vmId, 'backups', backup.id];
  const { fromCheckpointId, toCheckpointId, hostId, vmId } = backup;
  return wire(
    'backup',
    {
      ...ref(...own),
      description: backup.description,
      creation_date: new Date(backup.createdMs),
      modification_date: new Date(backup.modifiedMs),
      phase: phaseWords[backup.phase] ?? backup.phase,
      ...(fromCheckpointId === undefined ? {} : { from_checkpoint_id: fromCheckpointId }),
      ...(toCheckpointId === undefined || !backup.checkpointVisible ? {} : { to_checkpoint_id: toCheckpointId }),
      ...(hostId === undefined ? {} : { host: ref('hosts', hostId) }),
      ...snapshotOf(context, backup),
      vm: ref('vms', vmId),
    },
    links(own, ['disks']),
    [{ rel: 'finalize', href: href(...own, 'finalize') }],
  );
}

async function create(context: Context, call: Call): Promise<Answer> {
  const vm = needVm(context, param(call, 'vm'));
  const diskIds = call.body.list('disks').map((disk) => disk.word('id'));
  if (diskIds.length === 0) throw incomplete('Backup', ['disks']);
  const [id, fromCheckpointId] = [bodyId(call, 'id'), bodyId(call, 'from_checkpoint_id')];
  const { backupId } = await startBackup(
    context,
    {
      vmId: vm.id,
      diskIds: diskIds.map((diskId) => {
        if (diskId === undefined) throw incomplete('Disk', ['id']);
        if (!isUuid(diskId)) throw invalidUuid(diskId);
        return diskId.toLowerCase();
      }),
      description: call.body.text('description') ?? '',
      requireConsistency: call.query.flag('require_consistency'),
      legacy: call.query.flag('legacy'),
      ...(id === undefined ? {} : { id }),
      ...(fromCheckpointId === undefined ? {} : { fromCheckpointId }),
    },
    call.actor,
  );
  return { kind: 'created', item: view(context, need(context, vm.id, backupId)) };
}

function need({ store }: Context, vmId: string, id: string): BackupRecord {
  const backup = store.tables.backups.get(id);
  if (backup?.vmId !== vmId) throw notFound();
  return backup;
}

/** A hybrid one's are known when it is ready (HybridBackupCommand.performNextOperation, addDiskToVmBackup). */
async function diskViews(context: Context, backup: BackupRecord): Promise<Wire[]> {
  const own = ['vms', backup.vmId, 'backups', backup.id, 'disks'];
  const known = backup.kind === 'hybrid' && !backup.checkpointVisible ? [] : backup.disks;
  const found = known.flatMap(({ diskId }) => context.store.tables.disks.get(diskId) ?? []);
  return Promise.all(
    found.map(async (disk) => {
      const seen = await diskView(context, disk);
      return { ...seen, fields: { ...seen.fields, href: href(...own, disk.id) } };
    }),
  );
}

export function backupRoutes(context: Context): Route[] {
  const path = '/vms/:vm/backups';
  const vmOf = (call: Call): string => needVm(context, param(call, 'vm')).id;
  const wanted = (call: Call): BackupRecord => need(context, vmOf(call), param(call, 'backup'));
  const rows = (call: Call): BackupRecord[] => {
    const vmId = vmOf(call);
    return select(
      context.store.tables.backups.where((backup) => backup.vmId === vmId),
      call,
      {},
    );
  };
  return [
    { method: 'GET', path, query: ['max'], handle: (call) => many('backup', rows(call).map((backup) => view(context, backup))) },
    {
      method: 'POST',
      path,
      query: ['require_consistency', 'legacy'],
      body: { type: 'backup', accepts: ['id', 'description', 'from_checkpoint_id', 'disks.id'] },
      handle: (call) => create(context, call),
    },
    { method: 'GET', path: `${path}/:backup`, handle: (call) => one(view(context, wanted(call))) },
    {
      method: 'POST',
      path: `${path}/:backup/finalize`,
      action: true,
      query: ['async'],
      body: { type: 'action', accepts: ['async'] },
      handle: async (call) => {
        await finalizeBackup(context, vmOf(call), param(call, 'backup'));
        return done();
      },
    },
    {
      method: 'GET',
      path: `${path}/:backup/disks`,
      query: ['max'],
      handle: async (call) => many('disk', await diskViews(context, wanted(call))),
    },
    {
      method: 'GET',
      path: `${path}/:backup/disks/:disk`,
      handle: async (call) => {
        const disk = (await diskViews(context, wanted(call))).find(({ fields }) => fields['id'] === param(call, 'disk'));
        if (disk === undefined) throw notFound();
        return one(disk);
      },
    },
  ];
}
