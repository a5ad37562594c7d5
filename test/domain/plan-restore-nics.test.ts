// NICs of a restored VM: networks by name, id and profile, none at all, and MAC addresses by the engine's own rule.
import { randomUUID } from 'node:crypto';
import { chooseRestore, type RestoreChoice } from '../../domain/plan/restore';
import type { MacUse } from '../../domain/plan/restore-nics';
import { cluster, facts, otherCenter, profile, vmId, type Changes } from './restore-facts';

const choose = (changes: Changes): RestoreChoice => chooseRestore(facts(changes));
const codes = (changes: Changes): readonly string[] => choose(changes).reasons.map(({ code }) => code);
const first = '56:6f:00:00:00:01';

describe('the network', () => {
  const lab = profile('lab');
  const fast = profile('storage', 'fast');
  const slow = { ...profile('storage', 'slow'), networkId: fast.networkId };
  const profiles = [...facts().profiles, lab, fast, slow, profile('elsewhere', 'elsewhere', otherCenter)];
  const networks = (rules: NonNullable<Changes['asked']>['networks']): unknown => {
    const { nics, reasons } = choose({ profiles, asked: { networks: rules ?? [] } });
    return reasons.length > 0 ? reasons.map(({ code, object }) => [code, object]) : nics.map(({ network, profile: name }) => `${network}/${name}`);
  };

  test.each<[string, NonNullable<NonNullable<Changes['asked']>['networks']>, unknown]>([
    ['stays what it was', [], ['ovirtmgmt/ovirtmgmt', 'dmz/fast']],
    ['is mapped by name', [{ from: 'dmz', to: 'lab' }], ['ovirtmgmt/ovirtmgmt', 'lab/lab']],
    ['is mapped from network and profile, which wins over the network alone', [{ from: 'dmz', to: 'lab' }, { from: 'dmz/fast', to: 'ovirtmgmt' }], ['ovirtmgmt/ovirtmgmt', 'ovirtmgmt/ovirtmgmt']],
    ['is mapped to a profile by id', [{ from: 'dmz', to: slow.id }], ['ovirtmgmt/ovirtmgmt', 'storage/slow']],
    ['is mapped to a profile as network/profile', [{ from: 'dmz', to: 'storage/fast' }], ['ovirtmgmt/ovirtmgmt', 'storage/fast']],
    ['is mapped to a network by id', [{ from: 'dmz', to: lab.networkId }], ['ovirtmgmt/ovirtmgmt', 'lab/lab']],
    ['is mapped to a profile by a name that only one has', [{ from: 'dmz', to: 'slow' }], ['ovirtmgmt/ovirtmgmt', 'storage/slow']],
    ['is none', [{ from: 'dmz', to: null }], ['ovirtmgmt/ovirtmgmt', '/']],
    ['that does not exist is a reason', [{ from: 'dmz', to: 'nowhere' }], [['network.unknown', 'nic2']]],
    ['of another data center does not exist here', [{ from: 'dmz', to: 'elsewhere' }], [['network.unknown', 'nic2']]],
    ['with several profiles must be told which', [{ from: 'dmz', to: 'storage' }], [['network.ambiguous', 'nic2']]],
    ['that no NIC was on is a slip', [{ from: 'dnz', to: 'lab' }], [['network.unused', 'dnz']]],
  ])('%s', (_what, rules, expected) => {
    expect(networks(rules)).toEqual(expected);
  });

  test('that is gone is a reason: the engine would restore the NIC without it and say nothing', () => {
    const { reasons } = choose({ profiles: facts().profiles.slice(0, 1) });
    expect(reasons).toEqual([{ code: 'network.unknown', object: 'nic2', text: expect.stringMatching(/no network dmz, wanted for NIC nic2.*--network dmz=none.*ovirtmgmt\/ovirtmgmt/) as string }]);
  });

  test('that lost the profile gives one of its own, as the engine does; a NIC without network stays so', () => {
    const nics = [{ name: 'nic1', mac: first, network: 'storage', profile: 'gone' }, { name: 'nic2', mac: '', network: '', profile: '' }];
    expect(choose({ profiles, saved: { nics } })).toMatchObject({ nics: [{ network: 'storage', profile: 'fast' }, { network: '', profile: '' }], reasons: [] });
  });
});

describe('the MAC address', () => {
  const macs = (changes: Changes): readonly string[] => choose(changes).nics.map(({ mac }) => mac);

  test('of a new VM comes from the pool, of the original is its own; either can be asked for, and each NIC by its name', () => {
    const own = [first, '56:6f:00:00:00:02'];
    expect(macs({})).toEqual(['', '']);
    expect(macs({ asked: { macs: 'keep' } })).toEqual(own);
    expect(macs({ asked: { as: 'original', vmId } })).toEqual(own);
    expect(macs({ asked: { as: 'replace', vmId, macs: 'new' } })).toEqual(['', '']);
    expect(macs({ asked: { macOfNic: [{ nic: 'nic2', mac: '56:6f:00:00:00:aa' }] } })).toEqual(['', '56:6f:00:00:00:aa']);
  });

  const use = (changes: Partial<MacUse> = {}): MacUse => ({ mac: first.toUpperCase(), vmId: randomUUID(), vmName: 'other', macPoolId: cluster.macPoolId, ...changes });
  test('that a VM of the same pool has is a reason that names the VM', () => {
    const user = use();
    expect(choose({ macsInUse: [user], asked: { macs: 'keep' } }).reasons).toEqual([{ code: 'mac.taken', object: 'nic1', text: expect.stringContaining(`${first}, wanted for NIC nic1, is in use by VM other (${user.vmId})`) as string }]);
  });

  test.each<[string, Changes]>([
    ['in another pool is none of this pool\'s business', { macsInUse: [use({ macPoolId: randomUUID() })] }],
    ['in a pool that allows duplicates may be there twice', { macsInUse: [use()], poolsWithDuplicates: [cluster.macPoolId ?? ''] }],
    ['of the VM that is replaced is free by then', { macsInUse: [use({ vmId })], asked: { as: 'replace', vmId } }],
    ['that is not kept does not matter', { macsInUse: [use()], asked: { macs: 'new' } }],
  ])('%s', (_what, changes) => {
    expect(codes({ ...changes, asked: { macs: 'keep', ...changes.asked } }).filter((code) => code.startsWith('mac.'))).toEqual([]);
  });

  test('twice in one VM, or for a NIC that is not there, is a reason', () => {
    const macOfNic = [{ nic: 'nic2', mac: first }, { nic: 'nic7', mac: '56:6f:00:00:00:07' }];
    expect(choose({ asked: { macs: 'keep', macOfNic } }).reasons.map(({ code, object }) => [code, object])).toEqual([['nic.unknown', 'nic7'], ['mac.twice', 'nic2']]);
  });
});
