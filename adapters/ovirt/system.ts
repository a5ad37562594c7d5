// What is not about one VM: the engine itself, clusters, networks, MAC pools and storage domains.
import { type Connection, pathOf } from './connection';
import type { Engine, StorageDomain } from './port';
import { apiRootSchema, clusterSchema, dataCenterSchema, listOf, macPoolSchema, networkSchema, parseAnswer, storageDomainSchema, vnicProfileSchema } from './wire';

type SystemCalls = Pick<Engine, 'about' | 'listClusters' | 'listVnicProfiles' | 'macPoolAllowsDuplicates' | 'listStorageDomains'>;

export function systemCalls(engine: Connection): SystemCalls {
  const list = async <Item>(path: string, key: string, schema: Parameters<typeof listOf<Item>>[1], what: string): Promise<readonly Item[]> => {
    const { body } = await engine.call({ method: 'GET', path, what });
    return parseAnswer(listOf(key, schema), body, what, engine.engineName);
  };
  return {
    async about() {
      const what = 'reading what the engine is';
      const { body } = await engine.call({ method: 'GET', path: '', what });
      const { name, version } = parseAnswer(apiRootSchema, body, what, engine.engineName).product_info;
      return { product: name ?? 'unknown', version: version?.full_version ?? `${version?.major ?? 0}.${version?.minor ?? 0}` };
    },
    async listClusters() {
      const clusters = await list(pathOf('clusters'), 'cluster', clusterSchema, 'listing clusters');
      // A cluster outside of every data center cannot hold a VM.
      return clusters.flatMap(({ id, name, data_center: dataCenter, mac_pool: macPool }) => (dataCenter === undefined ? [] : [{ id, name, dataCenterId: dataCenter.id, ...(macPool === undefined ? {} : { macPoolId: macPool.id }) }]));
    },
    async listVnicProfiles() {
      const networks = await list(pathOf('networks'), 'network', networkSchema, 'listing networks');
      const profiles = await list(pathOf('vnicprofiles'), 'vnic_profile', vnicProfileSchema, 'listing vNIC profiles');
      return profiles.flatMap(({ id, name, network: { id: networkId } }) => {
        const network = networks.find((each) => each.id === networkId);
        return network?.data_center === undefined ? [] : [{ id, name, networkId, networkName: network.name, dataCenterId: network.data_center.id }];
      });
    },
    async macPoolAllowsDuplicates(macPoolId) {
      const what = `reading MAC pool ${macPoolId}`;
      const { body } = await engine.call({ method: 'GET', path: pathOf('macpools', macPoolId), what });
      return parseAnswer(macPoolSchema, body, what, engine.engineName).allow_duplicates;
    },
    async listStorageDomains() {
      const domains = await list(pathOf('storagedomains'), 'storage_domain', storageDomainSchema, 'listing storage domains');
      const inDataCenter = new Map<string, { dataCenterId: string; status?: string }>();
      // Only a data center knows the status of its domains: the list of all domains says `unattached` or nothing.
      for (const { id: dataCenterId } of await list(pathOf('datacenters'), 'data_center', dataCenterSchema, 'listing data centers')) {
        const path = pathOf('datacenters', dataCenterId, 'storagedomains');
        for (const { id, status } of await list(path, 'storage_domain', storageDomainSchema, `listing the storage domains of data center ${dataCenterId}`)) {
          inDataCenter.set(id, { dataCenterId, ...(status === undefined ? {} : { status }) });
        }
      }
      return domains.map(({ id, name, type, available, backup }): StorageDomain => ({ id, name, type, backup, availableBytes: available ?? 0, ...inDataCenter.get(id) }));
    },
  };
}
