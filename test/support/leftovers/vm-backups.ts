// What backups by image transfers leave when they do not end: VM backups and transfers under way, scratch disks, the engine's own snapshots, and
// checkpoints of ours that no chain in the repositories goes on from. Another product's checkpoints are nobody's leftovers.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { EngineVm, EngineView } from './engine';
import type { FoundLeftover, LookOptions } from './finding';
import { listNames } from './lab-files';

const autoSnapshot = 'Auto-generated for Backup VM';
const endedTransfers: readonly string[] = ['finished_success', 'finished_failure'];

const manifestSchema = z.object({
  method: z.literal('transfer'),
  kind: z.string(),
  vm: z.object({ id: z.string() }),
  checkpoint: z.object({ id: z.string() }).nullable(),
  vmBackup: z.object({ createdAt: z.string() }),
});
type Manifest = z.infer<typeof manifestSchema>;

export async function lookAtVmBackups(view: EngineView, repositories: readonly string[], { markPrefix = 'Holdfast' }: LookOptions): Promise<readonly FoundLeftover[]> {
  const needed = new Set<string>();
  for (const repository of repositories) for (const id of neededBy(await manifestsOf(repository))) needed.add(id);
  return [...view.vms.flatMap((vm) => [...aboutBackups(vm), ...aboutSnapshots(vm), ...aboutCheckpoints(vm, needed, markPrefix)]), ...aboutTransfers(view), ...aboutScratchDisks(view)];
}

/** Those of the method, by VM. What cannot be read is no backup of it. */
async function manifestsOf(repository: string): Promise<ReadonlyMap<string, readonly Manifest[]>> {
  const found = new Map<string, Manifest[]>();
  for (const vmId of await listNames(path.join(repository, 'vms'))) {
    for (const backupId of await listNames(path.join(repository, 'vms', vmId))) {
      const text = await readFile(path.join(repository, 'vms', vmId, backupId, 'manifest.json'), 'utf8').catch(() => '');
      const { data } = manifestSchema.safeParse(parsed(text));
      if (data) found.set(data.vm.id, [...(found.get(data.vm.id) ?? []), data]);
    }
  }
  return found;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** An incremental backup goes on from the newest one, a differential from the last full one. */
function neededBy(byVm: ReadonlyMap<string, readonly Manifest[]>): readonly string[] {
  return [...byVm.values()].flatMap((manifests) => {
    const newestFirst = [...manifests].sort((one, other) => (one.vmBackup.createdAt < other.vmBackup.createdAt ? 1 : -1));
    return [newestFirst[0], newestFirst.find(({ kind }) => kind === 'full')].flatMap((each) => each?.checkpoint?.id ?? []);
  });
}

function aboutBackups({ name, backups }: EngineVm): FoundLeftover[] {
  return backups
    .filter(({ phase }) => phase !== 'succeeded' && phase !== 'failed')
    .map(({ id, phase }) => ({ where: 'engine', what: 'vm-backup', object: id, detail: `a backup of VM ${name} is ${phase}` }));
}

function aboutSnapshots({ name, snapshots }: EngineVm): FoundLeftover[] {
  return snapshots
    .filter(({ description }) => description === autoSnapshot)
    .map(({ id, snapshot_status }) => ({ where: 'engine', what: 'auto-snapshot', object: id, detail: `snapshot "${autoSnapshot}" of VM ${name} is ${snapshot_status}` }));
}

function aboutCheckpoints({ name, checkpoints }: EngineVm, needed: ReadonlySet<string>, markPrefix: string): FoundLeftover[] {
  return checkpoints
    .filter(({ id, description }) => description.startsWith(markPrefix) && !needed.has(id))
    .map(({ id, description, state }) => ({ where: 'engine', what: 'checkpoint', object: id, detail: `checkpoint "${description}" of VM ${name} (${state}) serves no chain` }));
}

function aboutTransfers({ transfers }: EngineView): FoundLeftover[] {
  return transfers
    .filter(({ phase }) => !endedTransfers.includes(phase))
    .map(({ id, phase, direction, image }) => ({ where: 'engine', what: 'transfer', object: id, detail: `the ${direction} of disk ${image?.id ?? 'unknown'} is ${phase}` }));
}

function aboutScratchDisks({ disks }: EngineView): FoundLeftover[] {
  return disks.filter(({ content_type }) => content_type === 'backup_scratch').map(({ id, alias }) => ({ where: 'engine', what: 'scratch-disk', object: id, detail: `scratch disk "${alias}" is still there` }));
}
