// Which network and which MAC address each NIC of a restored VM gets. Pure. The engine itself would drop an unknown network without a word
// and refuse a MAC only when everything is written already: so both are asked here, by its own rules.
import type { RestoreVmInput } from '../flows/restore-vm';
import { reason, type Reason } from './reasons';
import type { ClusterFacts } from './restore-places';

export interface SavedNic {
  readonly name: string;
  readonly mac: string;
  /** By name, as an OVF has them; empty: none. */
  readonly network: string;
  readonly profile: string;
}

export interface VnicProfileFacts {
  readonly id: string;
  readonly name: string;
  readonly networkId: string;
  readonly networkName: string;
  readonly dataCenterId: string;
}

export interface MacUse {
  readonly mac: string;
  readonly vmId: string;
  readonly vmName: string;
  /** Of the VM's cluster. */
  readonly macPoolId?: string | undefined;
}

export interface NicFacts {
  readonly profiles: readonly VnicProfileFacts[];
  readonly macsInUse: readonly MacUse[];
  /** MAC pools by id. */
  readonly poolsWithDuplicates: readonly string[];
}

/** By the NIC's place in the saved configuration. */
export interface NicChoice {
  /** Empty: the engine takes one from the cluster's pool. */
  readonly mac: string;
  readonly network: string;
  readonly profile: string;
}

export type MacsAsked = Pick<RestoreVmInput, 'as' | 'macs' | 'macOfNic'>;
export type NicsAsked = Pick<RestoreVmInput, 'as' | 'vmId' | 'networks' | 'macs' | 'macOfNic'>;

export function chooseNics(asked: NicsAsked, nics: readonly SavedNic[], facts: NicFacts, cluster: ClusterFacts | undefined): { readonly nics: readonly NicChoice[]; readonly reasons: readonly Reason[] } {
  const reasons: Reason[] = [];
  const profiles = facts.profiles.filter(({ dataCenterId }) => !cluster || dataCenterId === cluster.dataCenterId);
  const choices = nics.map((nic): NicChoice => {
    const target = targetOf(nic, asked, profiles);
    if ('code' in target) reasons.push(target);
    return { mac: macOf(nic, asked), ...('code' in target ? { network: '', profile: '' } : target) };
  });
  for (const { nic } of asked.macOfNic.filter((each) => !nics.some(({ name }) => name === each.nic))) {
    reasons.push(reason('nic.unknown', nic, `The VM in the backup has no NIC ${nic} that could get a MAC address. It has: ${nics.map(({ name }) => name).join(', ') || 'none'}.`));
  }
  for (const { from } of asked.networks.filter((rule) => !nics.some((nic) => comesFrom(nic, rule.from)))) {
    reasons.push(reason('network.unused', from, `No NIC in the backup was on network ${from}. They were on: ${[...new Set(nics.map(spelled))].join(', ') || 'none'}.`));
  }
  return { nics: choices, reasons: [...reasons, ...macReasons(asked, nics, choices, facts, cluster)] };
}

const spelled = ({ network, profile }: Pick<SavedNic, 'network' | 'profile'>): string => (network === '' ? '(none)' : `${network}/${profile}`);
const comesFrom = (nic: SavedNic, from: string): boolean => nic.network !== '' && (spelled(nic) === from || nic.network === from);

const keepsMacs = ({ as, macs = as === 'new' ? 'new' : 'keep' }: MacsAsked): boolean => macs === 'keep';

/** Only then must anybody know which addresses are in use. */
export const wantsMacs = (asked: MacsAsked): boolean => keepsMacs(asked) || asked.macOfNic.length > 0;

function macOf(nic: SavedNic, asked: MacsAsked): string {
  return asked.macOfNic.find((each) => each.nic === nic.name)?.mac ?? (keepsMacs(asked) ? nic.mac.toLowerCase() : '');
}

type Target = Pick<NicChoice, 'network' | 'profile'>;

function targetOf(nic: SavedNic, { networks }: NicsAsked, profiles: readonly VnicProfileFacts[]): Target | Reason {
  const rule = networks.find(({ from }) => from === spelled(nic)) ?? networks.find(({ from }) => comesFrom(nic, from));
  if (rule?.to === null || (!rule && nic.network === '')) return { network: '', profile: '' };
  const choices = `vNIC profiles there: ${profiles.map(({ networkName, name }) => `${networkName}/${name}`).join(', ') || 'none'}`;
  const found = rule ? namedProfiles(rule.to, profiles) : savedProfiles(nic, profiles);
  const [only, ...others] = found;
  if (!only) return reason('network.unknown', nic.name, `The data center has no network ${rule?.to ?? nic.network}, wanted for NIC ${nic.name}; the engine would restore it without one. Name another for it (--network ${nic.network}=<other>), or none (--network ${nic.network}=none). ${choices}.`);
  if (others.length > 0) return reason('network.ambiguous', nic.name, `${rule?.to ?? nic.network}, wanted for NIC ${nic.name}, may be any of the vNIC profiles ${found.map((each) => `${each.networkName}/${each.name} (${each.id})`).join(', ')}. Name one as <network>/<profile> or by its id.`);
  return { network: only.networkName, profile: only.name };
}

/** As the engine reads an OVF: by both names; a network that is known with another profile gets one of its own profiles. */
function savedProfiles({ network, profile }: SavedNic, profiles: readonly VnicProfileFacts[]): readonly VnicProfileFacts[] {
  const ofNetwork = profiles.filter(({ networkName }) => networkName === network);
  const same = ofNetwork.find(({ name }) => name === profile) ?? ofNetwork.find(({ name }) => name === network) ?? ofNetwork[0];
  return same ? [same] : [];
}

function namedProfiles(wanted: string, profiles: readonly VnicProfileFacts[]): readonly VnicProfileFacts[] {
  const exact = profiles.find((each) => each.id === wanted || `${each.networkName}/${each.name}` === wanted);
  if (exact) return [exact];
  const ofNetwork = profiles.filter(({ networkId, networkName }) => networkId === wanted || networkName === wanted);
  const namesake = ofNetwork.find(({ name, networkName }) => name === networkName);
  if (ofNetwork.length > 0) return namesake ? [namesake] : ofNetwork;
  return profiles.filter(({ name }) => name === wanted);
}

/** The engine asks the MAC pool of the cluster, and only that one: addresses of other pools' VMs are none of its business. */
function macReasons({ as, vmId }: NicsAsked, nics: readonly SavedNic[], choices: readonly NicChoice[], { macsInUse, poolsWithDuplicates }: NicFacts, cluster: ClusterFacts | undefined): readonly Reason[] {
  if (!cluster || (cluster.macPoolId !== undefined && poolsWithDuplicates.includes(cluster.macPoolId))) return [];
  return choices.flatMap(({ mac }, index) => {
    const name = nics[index]?.name ?? '';
    if (mac === '') return [];
    const first = choices.findIndex((each) => each.mac === mac);
    if (first < index) return [reason('mac.twice', name, `NICs ${nics[first]?.name ?? ''} and ${name} would both have the MAC address ${mac}, and the MAC pool of cluster ${cluster.name} allows no duplicates. Give one of them another (--mac ${name}=<address>).`)];
    const user = macsInUse.find((use) => use.mac.toLowerCase() === mac && use.macPoolId === cluster.macPoolId && !(as === 'replace' && use.vmId === vmId));
    return user ? [reason('mac.taken', name, `MAC address ${mac}, wanted for NIC ${name}, is in use by VM ${user.vmName} (${user.vmId}), and the MAC pool of cluster ${cluster.name} allows no duplicates. Take new addresses (--macs new), or give this NIC another (--mac ${name}=<address>).`)] : [];
  });
}
