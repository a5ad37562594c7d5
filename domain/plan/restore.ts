// Where do a backup's disks and its VM go? Pure: what the engine has in, mapping and reasons out.
import type { DiskSettings } from '../disks';
import { reason, type Reason } from './reasons';

export interface ClusterFacts {
  readonly id: string;
  readonly name: string;
  readonly dataCenterId: string;
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

export interface RestoreFacts {
  readonly name: string;
  readonly nameTakenBy?: string | undefined;
  readonly clusters: readonly ClusterFacts[];
  readonly domains: readonly DomainFacts[];
  readonly disks: readonly (DiskSettings & { readonly dataBytes: number })[];
  readonly origin: { readonly clusterId?: string | undefined; readonly clusterName?: string | undefined };
  readonly clusterId?: string | undefined;
  readonly storageDomainId?: string | undefined;
}

export interface RestoreChoice {
  readonly clusterId?: string;
  readonly domainOfDisk: Readonly<Record<string, string>>;
  readonly reasons: readonly Reason[];
}

export function chooseRestore(facts: RestoreFacts): RestoreChoice {
  const reasons: Reason[] = [];
  if (facts.nameTakenBy) reasons.push(reason('name.taken', facts.nameTakenBy, `A VM named ${facts.name} exists already (${facts.nameTakenBy}). Choose another name.`));
  const cluster = chooseCluster(facts);
  if (!cluster) {
    const wanted = facts.clusterId ?? facts.origin.clusterName ?? facts.origin.clusterId ?? 'unknown';
    reasons.push(reason('cluster.unknown', wanted, `The engine has no cluster ${wanted}. Name one of: ${facts.clusters.map((each) => `${each.name} (${each.id})`).join(', ')}.`));
  }
  const domainOfDisk: Record<string, string> = {};
  const wantedBytes = new Map<string, number>();
  for (const disk of facts.disks) {
    const wantedId = facts.storageDomainId ?? disk.storageDomainId;
    const domain = facts.domains.find((each) => each.id === wantedId);
    const refused = domainReason(disk, wantedId, domain, cluster, facts);
    if (refused) reasons.push(refused);
    if (!domain || refused) continue;
    domainOfDisk[disk.diskId] = domain.id;
    wantedBytes.set(domain.id, (wantedBytes.get(domain.id) ?? 0) + (disk.sparse ? disk.dataBytes : disk.virtualBytes));
  }
  for (const [id, bytes] of wantedBytes) {
    const domain = facts.domains.find((each) => each.id === id);
    if (domain && domain.availableBytes < bytes) reasons.push(reason('domain.full', id, `Storage domain ${domain.name} has ${domain.availableBytes} bytes free, the disks need ${bytes}. Make room or name another domain.`));
  }
  return { ...(cluster ? { clusterId: cluster.id } : {}), domainOfDisk, reasons };
}

function chooseCluster({ clusterId, clusters, origin }: RestoreFacts): ClusterFacts | undefined {
  if (clusterId) return clusters.find((each) => each.id === clusterId);
  return clusters.find((each) => each.id === origin.clusterId) ?? clusters.find((each) => each.name === origin.clusterName);
}

function domainReason(disk: DiskSettings, wantedId: string | undefined, domain: DomainFacts | undefined, cluster: ClusterFacts | undefined, facts: RestoreFacts): Reason | undefined {
  const usable = facts.domains.filter((each) => each.type === 'data' && each.status === 'active' && !each.backup).map((each) => `${each.name} (${each.id})`);
  const choose = `Name a storage domain; active data domains: ${usable.join(', ') || 'none'}.`;
  if (!domain) return reason('domain.unknown', wantedId ?? disk.diskId, `The engine has no storage domain ${wantedId ?? '(none recorded)'} for disk ${disk.alias}. ${choose}`);
  if (domain.status !== 'active' || domain.type !== 'data') return reason('domain.inactive', domain.id, `Storage domain ${domain.name}, wanted for disk ${disk.alias}, is ${domain.type} and ${domain.status ?? 'unattached'}, not an active data domain. ${choose}`);
  if (domain.backup) return reason('domain.backup', domain.id, `Storage domain ${domain.name}, wanted for disk ${disk.alias}, is a backup domain: the engine attaches none of its disks to the appliance. ${choose}`);
  if (cluster && domain.dataCenterId !== cluster.dataCenterId) return reason('domain.other-center', domain.id, `Storage domain ${domain.name}, wanted for disk ${disk.alias}, belongs to another data center than cluster ${cluster.name}. ${choose}`);
  return undefined;
}
