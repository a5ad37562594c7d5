// Which cluster and which storage domains a restore goes to. Pure: names or ids, as they were asked for, against what the engine has.
import type { DiskSettings } from '../disks';
import type { RestoreVmInput } from '../flows/restore-vm';
import { reason, type Reason } from './reasons';

export interface ClusterFacts {
  readonly id: string;
  readonly name: string;
  readonly dataCenterId: string;
  readonly macPoolId?: string | undefined;
}

export interface DomainFacts {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly status?: string | undefined;
  readonly availableBytes: number;
  readonly backup: boolean;
  readonly dataCenterId?: string | undefined;
}

export type SavedDisk = DiskSettings & { readonly dataBytes: number };
export type PlacesAsked = Pick<RestoreVmInput, 'cluster' | 'storageDomain' | 'storageDomainMap' | 'storageDomainOfDisk'>;

interface Named {
  readonly id: string;
  readonly name: string;
}

/** An id wins over a name: nobody can take it away by renaming. */
export function byIdOrName<Each extends Named>(all: readonly Each[], wanted: string | undefined): Each | undefined {
  return all.find(({ id }) => id === wanted) ?? all.find(({ name }) => name === wanted);
}

const listed = (all: readonly Named[]): string => all.map(({ id, name }) => `${name} (${id})`).join(', ') || 'none';

export function chooseCluster(asked: string | undefined, origin: { readonly clusterId?: string | undefined; readonly clusterName?: string | undefined } | undefined, clusters: readonly ClusterFacts[]): { readonly cluster?: ClusterFacts | undefined; readonly reasons: readonly Reason[] } {
  // Which cluster the VM came from only the backup tells: while nobody can read it, that is no reason.
  if (asked === undefined && !origin) return { reasons: [] };
  const found = asked === undefined ? (clusters.find(({ id }) => id === origin?.clusterId) ?? clusters.find(({ name }) => name === origin?.clusterName)) : byIdOrName(clusters, asked);
  if (found) return { cluster: found, reasons: [] };
  const wanted = asked ?? origin?.clusterName ?? origin?.clusterId ?? 'unknown';
  return { reasons: [reason('cluster.unknown', wanted, `The engine has no cluster ${wanted}. Name one of: ${listed(clusters)}.`)] };
}

export interface DomainChoice {
  readonly domainOfDisk: Readonly<Record<string, string>>;
  readonly reasons: readonly Reason[];
}

export function chooseDomains(asked: PlacesAsked, disks: readonly SavedDisk[], domains: readonly DomainFacts[], cluster: ClusterFacts | undefined): DomainChoice {
  const reasons: Reason[] = [];
  const domainOfDisk: Record<string, string> = {};
  const wantedBytes = new Map<DomainFacts, number>();
  for (const disk of disks) {
    const wanted = wantedFor(disk, asked, domains);
    const domain = byIdOrName(domains, wanted);
    const refused = domainReason(disk, wanted, domain, domains, cluster);
    if (refused) reasons.push(refused);
    if (!domain || refused) continue;
    domainOfDisk[disk.diskId] = domain.id;
    wantedBytes.set(domain, (wantedBytes.get(domain) ?? 0) + (disk.sparse ? disk.dataBytes : disk.virtualBytes));
  }
  for (const [{ id, name, availableBytes }, bytes] of wantedBytes) {
    if (availableBytes < bytes) reasons.push(reason('domain.full', id, `Storage domain ${name} has ${availableBytes} bytes free, the disks need ${bytes}. Make room or name another domain.`));
  }
  return { domainOfDisk, reasons: [...reasons, ...unusedRules(asked, disks, domains)] };
}

const cameFrom = (disk: DiskSettings, from: string, domains: readonly DomainFacts[]): boolean => disk.storageDomainId !== undefined && (disk.storageDomainId === from || byIdOrName(domains, from)?.id === disk.storageDomainId);

/** The rule that says most about the disk wins. */
function wantedFor(disk: SavedDisk, { storageDomain, storageDomainMap, storageDomainOfDisk }: PlacesAsked, domains: readonly DomainFacts[]): string | undefined {
  return (
    storageDomainOfDisk.find(({ diskId }) => diskId === disk.diskId)?.storageDomain ??
    storageDomainMap.find(({ from }) => cameFrom(disk, from, domains))?.to ??
    storageDomain ??
    disk.storageDomainId
  );
}

/** A rule that fits nothing is a slip of the pen: the disk that was meant would go elsewhere. */
function unusedRules({ storageDomainMap, storageDomainOfDisk }: PlacesAsked, disks: readonly SavedDisk[], domains: readonly DomainFacts[]): readonly Reason[] {
  const known = disks.map(({ diskId, alias }) => `${alias} (${diskId})`).join(', ') || 'none';
  return [
    ...storageDomainMap
      .filter(({ from }) => !disks.some((disk) => cameFrom(disk, from, domains)))
      .map(({ from }) => reason('domain.unused', from, `No disk that is to be restored came from storage domain ${from}. They came from: ${[...new Set(disks.map((disk) => disk.storageDomainId ?? 'nowhere recorded'))].join(', ')}.`)),
    ...storageDomainOfDisk
      .filter(({ diskId }) => !disks.some((disk) => disk.diskId === diskId))
      .map(({ diskId }) => reason('disk.unknown', diskId, `Disk ${diskId} is given a storage domain, but it is not among the disks that are to be restored: ${known}.`)),
  ];
}

function domainReason(disk: SavedDisk, wanted: string | undefined, domain: DomainFacts | undefined, domains: readonly DomainFacts[], cluster: ClusterFacts | undefined): Reason | undefined {
  const choose = `Name a storage domain; active data domains: ${listed(domains.filter((each) => each.type === 'data' && each.status === 'active' && !each.backup))}.`;
  if (!domain) return reason('domain.unknown', wanted ?? disk.diskId, `The engine has no storage domain ${wanted ?? '(none recorded)'} for disk ${disk.alias}. ${choose}`);
  const wantedFor = `Storage domain ${domain.name}, wanted for disk ${disk.alias},`;
  if (domain.status !== 'active' || domain.type !== 'data') return reason('domain.inactive', domain.id, `${wantedFor} is ${domain.type} and ${domain.status ?? 'unattached'}, not an active data domain. ${choose}`);
  if (domain.backup) return reason('domain.backup', domain.id, `${wantedFor} is a backup domain: the engine attaches none of its disks to the appliance. ${choose}`);
  if (cluster && domain.dataCenterId !== cluster.dataCenterId) return reason('domain.other-center', domain.id, `${wantedFor} belongs to another data center than cluster ${cluster.name}. ${choose}`);
  return undefined;
}
