// What a mover sees of the hosts' data daemons, by which the method `transfer` moves its data. It asks the engine which hosts are up, and
// each of those for what it can do; no ticket, no transfer. Role mover.
import { probeDaemon } from '../../adapters/imageio';
import { check, type Check } from '../../domain/doctor/checks';
import { judgeAnswering, judgeDaemon, judgeHosts, onlyForTransfer, type DaemonAddress } from '../../domain/doctor/judge-hosts';
import { objectNames } from '../../domain/doctor/objects';
import type { InstalledEngine } from '../../domain/flows/doctor';
import type { HostExamination } from './dependencies';
import { examine } from './examine';

const id = 'host.data-daemon';

export async function examineHosts(engine: InstalledEngine, repository: string, dependencies: HostExamination): Promise<readonly Check[]> {
  const all = objectNames.hosts(engine.name, repository);
  const up: DaemonAddress[] = [];
  const listed = await examine(id, all, async () => {
    up.push(...(await daemonsOf(engine.name, dependencies)));
    return judgeHosts(up);
  });
  const seen = await Promise.all(up.map(async (daemon) => ({ daemon, found: await examineDaemon(engine.name, daemon, repository, dependencies) })));
  const well = seen.filter(({ found }) => found.verdict === 'ok').map(({ daemon }) => daemon);
  return [
    ...(listed.verdict === 'ok' ? [] : [listed]),
    ...(well.length === 0 ? [] : [check(id, all, judgeAnswering(well))]),
    ...seen.flatMap(({ found }) => (found.verdict === 'ok' ? [] : [found])),
  ].map((each) => onlyForTransfer(each, { hasAppliances: engine.applianceIds.length > 0 }));
}

/** A host outside of every data center has no disks to transfer. */
async function daemonsOf(name: string, { engineOf, daemonsOf }: HostExamination): Promise<readonly DaemonAddress[]> {
  const engine = engineOf(name);
  const { port } = daemonsOf(name);
  const clusters = new Set((await engine.listClusters()).map((cluster) => cluster.id));
  return (await engine.listHosts()).filter(({ status, clusterId }) => status === 'up' && clusters.has(clusterId)).map((host) => ({ host: host.name, address: host.address, port }));
}

function examineDaemon(engine: string, daemon: DaemonAddress, repository: string, { daemonsOf, now }: HostExamination): Promise<Check> {
  const { caFile, insecure, proxy } = daemonsOf(engine);
  return examine(id, objectNames.host(daemon.host, engine, repository), async () => judgeDaemon(await probeDaemon({ ...daemon, caFile, insecure }), daemon, { proxy, nowMs: now().getTime() }));
}
