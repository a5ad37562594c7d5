// May this backup be restored as asked, and where does everything go? Pure: what the backup and the engine have in, choices and all reasons
// out. The parts decide for themselves: places, NICs, and which VM it is.
import type { NamedDisk, RestoreVmInput } from '../flows/restore-vm';
import { reason, type Reason } from './reasons';
import { chooseNics, type NicChoice, type NicFacts, type SavedNic } from './restore-nics';
import { chooseCluster, chooseDomains, type ClusterFacts, type DomainFacts, type SavedDisk } from './restore-places';
import { oldVmOf, targetReasons, type OldVm, type OldVmFacts } from './restore-target';

/** What the backup tells about its VM. */
export interface SavedVm {
  readonly vmId: string;
  readonly name: string;
  readonly clusterId?: string | undefined;
  readonly clusterName?: string | undefined;
  readonly disks: readonly SavedDisk[];
  readonly leftOut: readonly NamedDisk[];
  readonly nics: readonly SavedNic[];
}

export type RestoreAsked = Pick<RestoreVmInput, 'engine' | 'as' | 'vmId' | 'name' | 'cluster' | 'diskIds' | 'storageDomain' | 'storageDomainMap' | 'storageDomainOfDisk' | 'networks' | 'macs' | 'macOfNic' | 'oldDisks'>;

export interface RestoreFacts extends NicFacts {
  readonly asked: RestoreAsked;
  /** Undefined while nobody can read the backup: reasons that need it are left out. */
  readonly saved?: SavedVm | undefined;
  readonly clusters: readonly ClusterFacts[];
  readonly domains: readonly DomainFacts[];
  readonly nameTakenBy?: string | undefined;
  readonly original?: OldVmFacts | undefined;
  /** Ids of the backup's disks that some disk of the engine has. */
  readonly takenDiskIds: readonly string[];
}

export interface RestoreChoice {
  readonly clusterId?: string;
  readonly domainOfDisk: Readonly<Record<string, string>>;
  /** Disks that get their own id back: only as the original, and never an id that any disk has, whoever left it there. */
  readonly sameDiskIds: readonly string[];
  readonly nics: readonly NicChoice[];
  readonly leftOut: readonly NamedDisk[];
  readonly old?: OldVm;
  readonly reasons: readonly Reason[];
}

export function chooseRestore(facts: RestoreFacts): RestoreChoice {
  const { asked, saved, original } = facts;
  const { disks, leftOut, reasons: diskReasons } = chooseDisks(asked, saved);
  const { cluster, reasons: clusterReasons } = chooseCluster(asked.cluster, saved, facts.clusters);
  const places = saved ? chooseDomains(asked, disks, facts.domains, cluster) : { domainOfDisk: {}, reasons: [] };
  const nics = saved ? chooseNics(asked, saved.nics, facts, cluster) : { nics: [], reasons: [] };
  const old = oldVmOf(asked, original, disks.map(({ diskId }) => diskId));
  const target = targetReasons(asked, { engine: asked.engine, name: nameOf(asked, saved), nameTakenBy: facts.nameTakenBy, savedVmId: saved?.vmId, original, domains: facts.domains });
  return {
    ...(cluster ? { clusterId: cluster.id } : {}),
    domainOfDisk: places.domainOfDisk,
    sameDiskIds: asked.as === 'original' ? disks.map(({ diskId }) => diskId).filter((id) => !facts.takenDiskIds.includes(id)) : [],
    nics: nics.nics,
    leftOut,
    ...(old ? { old } : {}),
    reasons: [...target, ...diskReasons, ...clusterReasons, ...places.reasons, ...nics.reasons],
  };
}

/** The name as it was asked for, else the one in the backup. */
export function nameOf({ name }: Pick<RestoreAsked, 'name'>, saved: Pick<SavedVm, 'name'> | undefined): string {
  return name ?? saved?.name ?? '';
}

function chooseDisks({ diskIds }: RestoreAsked, saved: SavedVm | undefined): { readonly disks: readonly SavedDisk[]; readonly leftOut: readonly NamedDisk[]; readonly reasons: readonly Reason[] } {
  if (!saved) return { disks: [], leftOut: [], reasons: [] };
  const wanted = (disk: SavedDisk): boolean => diskIds === undefined || diskIds.includes(disk.diskId);
  const notChosen = saved.disks.filter((disk) => !wanted(disk)).map(({ diskId, alias }) => ({ diskId, alias, why: 'not chosen for this restore' }));
  const unknown = (diskIds ?? []).filter((id) => !saved.disks.some(({ diskId }) => diskId === id));
  return {
    disks: saved.disks.filter(wanted),
    leftOut: [...saved.leftOut.map(({ diskId, alias, why }) => ({ diskId, alias, why: `not in the backup: ${why}` })), ...notChosen],
    reasons: unknown.map((id) => reason('disk.unknown', id, `Disk ${id} is to be restored, but the backup of VM ${saved.name} does not have it. It has: ${saved.disks.map(({ diskId, alias }) => `${alias} (${diskId})`).join(', ')}.`)),
  };
}
