// Which VM a restore makes: what speaks against the original and against replacing it, which old disks go, and what the schema refuses.
import { randomUUID } from 'node:crypto';
import { restoreVmInputSchema } from '../../domain/flows/restore-vm';
import type { Reason } from '../../domain/plan/reasons';
import { chooseRestore } from '../../domain/plan/restore';
import type { OldVmFacts } from '../../domain/plan/restore-target';
import { disk, domain, facts, oldDisk, oldVm, vmId, type Changes } from './restore-facts';

const original = { as: 'original', vmId, name: undefined } as const;
const replace = { as: 'replace', vmId, name: undefined } as const;
const reasonsOf = (changes: Changes): readonly Reason[] => chooseRestore(facts(changes)).reasons;
const codes = (changes: Changes): readonly string[] => reasonsOf(changes).map(({ code }) => code);

describe('as the original', () => {
  test('needs that the VM is gone; while it is there the reason says what to use instead', () => {
    expect(codes({ asked: original })).toEqual([]);
    expect(reasonsOf({ asked: original, original: oldVm() })).toEqual([{ code: 'vm.exists', object: vmId, text: expect.stringMatching(/VM demo .* exists .*use replace while it is down.* as a new VM/) as string }]);
  });

  test('another VM may have taken its name: then it needs another one', () => {
    expect(reasonsOf({ asked: original, nameTakenBy: 'someone' })).toEqual([{ code: 'name.taken', object: 'someone', text: expect.stringMatching(/VM named demo exists/) as string }]);
  });

  test('or replaced, it is the VM of the backup and no other', () => {
    const other = randomUUID();
    expect(codes({ asked: { ...original, vmId: other } })).toEqual(['backup.other-vm']);
    expect(codes({ asked: { ...replace, vmId: other }, original: oldVm({ vm: { id: other } }) })).toEqual(['backup.other-vm']);
  });
});

describe('to replace', () => {
  test('a VM that is down and bare is fine, and its own name is not taken', () => {
    expect(codes({ asked: replace, original: oldVm(), nameTakenBy: vmId })).toEqual([]);
    expect(codes({ asked: replace, original: oldVm(), nameTakenBy: 'someone' })).toEqual(['name.taken']);
  });

  const snapshot = (type: string, status = 'ok'): OldVmFacts['snapshots'][number] => ({ description: 'before the update', type, status });
  const asleep = domain({ name: 'asleep', status: 'maintenance' });
  test.each<[string, OldVmFacts | undefined, string, RegExp]>([
    ['a VM that is not there', undefined, 'vm.unknown', /Restore it as the original/],
    ['a VM that runs', oldVm({ vm: { status: 'up', statusText: 'up' } }), 'vm.status', /is up; only a VM that is down .*Shut it down/],
    ['a VM that is suspended', oldVm({ vm: { status: 'other', statusText: 'suspended' } }), 'vm.status', /is suspended/],
    ['a VM with a snapshot', oldVm({ snapshots: [snapshot('active'), snapshot('regular')] }), 'vm.snapshots', /1 of its own snapshots \("before the update"\), which would be lost.*Remove them/],
    ['a VM with a snapshot that is being made', oldVm({ snapshots: [snapshot('regular', 'locked')] }), 'vm.snapshot-busy', /Wait/],
    ['a VM that previews a snapshot', oldVm({ snapshots: [snapshot('preview')] }), 'vm.preview', /Commit or undo/],
    ['a VM of a pool', oldVm({ vm: { poolId: randomUUID() } }), 'vm.pool', /Detach it from the pool/],
    ['a VM that is protected', oldVm({ vm: { deleteProtected: true } }), 'vm.delete-protected', /protected against deletion/],
    ['an appliance', oldVm({ isAppliance: true }), 'appliance.is-the-vm', /is an appliance/],
    ['a VM with a locked disk', oldVm({ disks: [oldDisk({ status: 'locked' })] }), 'disk.locked', /is locked\. Wait/],
    ['a VM with an illegal disk, which could not be put back', oldVm({ disks: [oldDisk({ status: 'illegal' })] }), 'disk.illegal', /could not be attached to the VM again.*as the original/],
    ['a VM with a disk on a domain in maintenance', oldVm({ disks: [oldDisk({ settings: { storageDomainId: asleep.id } })] }), 'domain.inactive', /does not remove a VM with a disk there\. Activate it/],
  ])('%s is refused', (_what, old, code, text) => {
    const { domains } = facts();
    const reasons = reasonsOf({ asked: replace, original: old, domains: [...domains, asleep] });
    expect(reasons).toEqual([expect.objectContaining({ code, text: expect.stringMatching(text) as string })]);
  });

  test('a direct LUN is neither locked nor illegal, and a VM from a template is fine', () => {
    expect(codes({ asked: replace, original: oldVm({ vm: { templateId: randomUUID() }, disks: [oldDisk({ storageType: 'lun', status: 'other' })] }) })).toEqual([]);
  });

  test('everything at once', () => {
    const old = oldVm({ vm: { status: 'up', statusText: 'up', deleteProtected: true, poolId: randomUUID() }, snapshots: [snapshot('regular')], disks: [oldDisk({ status: 'illegal' })] });
    expect(codes({ asked: { ...replace, cluster: 'Nowhere' }, original: old, nameTakenBy: 'someone' })).toEqual(['name.taken', 'vm.status', 'vm.snapshots', 'vm.pool', 'vm.delete-protected', 'disk.illegal', 'cluster.unknown']);
  });
});

describe('the old disks that go in the end', () => {
  const [system, data, added] = [disk({ alias: 'system' }), disk({ alias: 'data' }), disk({ alias: 'added later' })];
  const old = oldVm({ disks: [oldDisk({ settings: system }), oldDisk({ settings: data }), oldDisk({ settings: added }), oldDisk({ settings: { alias: 'shared' }, shareable: true }), oldDisk({ settings: { alias: 'lun' }, storageType: 'lun' })] });
  const fate = (asked: Changes['asked']): unknown => {
    const choice = chooseRestore(facts({ saved: { disks: [system, data] }, original: old, asked: { ...replace, ...asked } })).old;
    return { gone: choice?.removed.map(({ alias }) => alias), kept: choice?.kept.map(({ alias }) => alias) };
  };

  test.each<[string, Changes['asked'], readonly string[], readonly string[]]>([
    ['are those whose content was restored: nobody else has what is on the others', {}, ['system', 'data'], ['added later', 'shared', 'lun']],
    ['are fewer when fewer are restored', { diskIds: [data.diskId] }, ['data'], ['system', 'added later', 'shared', 'lun']],
    ['are all when it is said so, but never shared ones and LUNs', { oldDisks: 'all' }, ['system', 'data', 'added later'], ['shared', 'lun']],
    ['are none when it is said so', { oldDisks: 'none' }, [], ['system', 'data', 'added later', 'shared', 'lun']],
  ])('%s', (_what, asked, gone, kept) => {
    expect(fate(asked)).toEqual({ gone, kept });
  });

  test('nothing of the kind without replace', () => {
    expect(chooseRestore(facts({ asked: original })).old).toBeUndefined();
  });
});

describe('the request', () => {
  const base = { engine: 'lab', repository: 'main', backupId: randomUUID() };
  const issues = (request: object): readonly string[] => restoreVmInputSchema.safeParse({ ...base, ...request }).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];

  test('needs a name and a request id for a new VM, the VM for the others', () => {
    expect(issues({})).toEqual(['requestId: is needed to restore as a new VM', 'name: is needed to restore as a new VM']);
    expect(issues({ as: 'original' })).toEqual(['vmId: is needed to restore as the original']);
    expect(issues({ as: 'replace' })).toEqual(['vmId: is needed to restore in the place of the VM']);
    expect(issues({ as: 'replace', vmId, oldDisks: 'all' })).toEqual([]);
    expect(issues({ as: 'original', vmId, oldDisks: 'all' })).toEqual(['oldDisks: is for as: replace only']);
  });

  test('says nothing twice', () => {
    const twice = (value: object): readonly object[] => [value, value];
    expect(issues({
      as: 'original', vmId, diskIds: [vmId, vmId], storageDomainMap: twice({ from: 'a', to: 'b' }), storageDomainOfDisk: twice({ diskId: vmId, storageDomain: 'b' }),
      networks: twice({ from: 'a', to: null }), macOfNic: twice({ nic: 'nic1', mac: '56:6f:00:00:00:01' }),
    }).map((issue) => issue.split(':')[0])).toEqual(['diskIds', 'storageDomainMap', 'storageDomainOfDisk', 'networks', 'macOfNic']);
  });

  test.each(['01:6f:00:00:00:01', '00:00:00:00:00:00', '56:6F:00:00:00:01', '56:6f:00:00:00', 'nic'])('%s is no MAC address for a NIC', (mac) => {
    expect(issues({ as: 'original', vmId, macOfNic: [{ nic: 'nic1', mac }] })).toHaveLength(1);
  });
});
