// Where a backup's disks and VM go: mapping and reasons, one row each, and all reasons at once.
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { chooseRestore } from '../../domain/plan/restore';
import type { ClusterFacts, DomainFacts, SavedDisk } from '../../domain/plan/restore-places';
import { center, cluster, disk, domain, facts, home, otherCenter, type Changes } from './restore-facts';

const codes = (changes: Changes): readonly string[] => chooseRestore(facts(changes)).reasons.map(({ code }) => code);

describe('the cluster', () => {
  const second: ClusterFacts = { id: randomUUID(), name: 'Second', dataCenterId: center };
  const clusters = [second, cluster];
  test.each<[string, Changes, string]>([
    ['is the one it came from', {}, cluster.id],
    ['is the wanted one, by id', { asked: { cluster: second.id } }, second.id],
    ['is the wanted one, by name', { asked: { cluster: 'Second' } }, second.id],
    ['is found by its name when the engine is a new one', { saved: { clusterId: randomUUID(), clusterName: 'Second' } }, second.id],
  ])('%s', (_what, changes, expected) => {
    expect(chooseRestore(facts({ clusters, ...changes }))).toMatchObject({ clusterId: expected, reasons: [] });
  });

  test.each<[string, Changes]>([
    ['wanted by an id that is not there, even if the old one is', { asked: { cluster: randomUUID() } }],
    ['gone from the engine', { saved: { clusterId: randomUUID(), clusterName: 'Gone' } }],
    ['never recorded', { saved: { clusterId: undefined, clusterName: undefined } }],
  ])('%s is a reason that names those there are', (_what, changes) => {
    const { reasons, clusterId } = chooseRestore(facts(changes));
    expect(clusterId).toBeUndefined();
    expect(reasons).toEqual([expect.objectContaining({ code: 'cluster.unknown', text: expect.stringContaining(`Default (${cluster.id})`) as string })]);
  });
});

describe('the disks', () => {
  const [one, two] = [disk({ alias: 'one' }), disk({ alias: 'two' })];
  const disks = [one, two];

  test('are all of the backup, or those that were chosen; the result can tell which were not', () => {
    expect(chooseRestore(facts({ saved: { disks } })).domainOfDisk).toEqual({ [one.diskId]: home.id, [two.diskId]: home.id });
    const leftOut = [{ diskId: randomUUID(), alias: 'shared', why: 'left out by choice' }];
    expect(chooseRestore(facts({ saved: { disks, leftOut }, asked: { diskIds: [two.diskId] } }))).toMatchObject({
      domainOfDisk: { [two.diskId]: home.id },
      leftOut: [{ ...leftOut[0], why: 'not in the backup: left out by choice' }, { diskId: one.diskId, alias: 'one', why: 'not chosen for this restore' }],
      reasons: [],
    });
  });

  test('that are chosen and not in the backup are reasons, each', () => {
    const unknown = [randomUUID(), randomUUID()];
    const { reasons } = chooseRestore(facts({ saved: { disks }, asked: { diskIds: [...unknown, one.diskId] } }));
    expect(reasons.map(({ code, object }) => [code, object])).toEqual(unknown.map((id) => ['disk.unknown', id]));
    expect(reasons[0]?.text).toContain(`two (${two.diskId})`);
  });

  test('get their own ids only as the original, and only where no disk has them', () => {
    expect(chooseRestore(facts({ saved: { disks } })).sameDiskIds).toEqual([]);
    expect(chooseRestore(facts({ saved: { disks }, asked: { as: 'original', vmId: facts().saved?.vmId, name: undefined }, takenDiskIds: [one.diskId] }))).toMatchObject({ sameDiskIds: [two.diskId], reasons: [] });
  });
});

describe('the storage domain', () => {
  const [second, third] = [domain({ name: 'second' }), domain({ name: 'third' })];
  const [one, two] = [disk(), disk({ storageDomainId: second.id })];
  const domains = [home, second, third];
  const places = (asked: Changes['asked']): unknown => {
    const { domainOfDisk, reasons } = chooseRestore(facts({ saved: { disks: [one, two] }, domains, asked: asked ?? {} }));
    expect(reasons).toEqual([]);
    return [domainOfDisk[one.diskId], domainOfDisk[two.diskId]];
  };

  test.each<[string, Changes['asked'], readonly string[]]>([
    ['of each disk is its own', {}, [home.id, second.id]],
    ['is the one for all, by id', { storageDomain: third.id }, [third.id, third.id]],
    ['is the one for all, by name', { storageDomain: 'third' }, [third.id, third.id]],
    ['is mapped by where the disk was, by name or id', { storageDomainMap: [{ from: 'second', to: third.id }] }, [home.id, third.id]],
    ['is mapped first, and the one for all is for the rest', { storageDomain: second.id, storageDomainMap: [{ from: home.id, to: 'third' }] }, [third.id, second.id]],
    ['of one disk wins over map and all', { storageDomain: second.id, storageDomainMap: [{ from: home.id, to: second.id }], storageDomainOfDisk: [{ diskId: one.diskId, storageDomain: 'third' }] }, [third.id, second.id]],
  ])('%s', (_what, asked, expected) => {
    expect(places(asked)).toEqual(expected);
  });

  test('a rule that fits no disk is a slip, and says so', () => {
    expect(codes({ domains, asked: { storageDomainMap: [{ from: 'third', to: 'second' }], storageDomainOfDisk: [{ diskId: randomUUID(), storageDomain: 'second' }] } })).toEqual(['domain.unused', 'disk.unknown']);
  });

  test.each<[string, DomainFacts | undefined, string]>([
    ['that the engine does not know', undefined, 'domain.unknown'],
    ['in maintenance', domain({ status: 'maintenance' }), 'domain.inactive'],
    ['that is attached to no data center', domain({ status: undefined, dataCenterId: undefined }), 'domain.inactive'],
    ['for ISO images', domain({ type: 'iso' }), 'domain.inactive'],
    ['for exports', domain({ type: 'export' }), 'domain.inactive'],
    ['for backups', domain({ backup: true }), 'domain.backup'],
    ['of another data center', domain({ dataCenterId: otherCenter }), 'domain.other-center'],
    ['that is too full', domain({ availableBytes: 99 }), 'domain.full'],
  ])('%s is a reason, and gets no disk unless it is only full', (_what, wanted, code) => {
    const storageDomain = wanted?.id ?? randomUUID();
    const { reasons, domainOfDisk } = chooseRestore(facts({ domains: [home, ...(wanted ? [wanted] : [])], asked: { storageDomain } }));
    expect(reasons).toEqual([expect.objectContaining({ code, object: storageDomain })]);
    expect(Object.keys(domainOfDisk)).toHaveLength(code === 'domain.full' ? 1 : 0);
    if (code !== 'domain.full') expect(reasons[0]?.text).toContain(`data (${home.id})`);
  });

  test('that was not recorded must be named', () => {
    const bare = disk();
    delete bare.storageDomainId;
    expect(codes({ saved: { disks: [bare] } })).toEqual(['domain.unknown']);
    expect(codes({ saved: { disks: [bare] }, asked: { storageDomain: home.id } })).toEqual([]);
  });

  test('counts what all disks together need: data of sparse ones, all of preallocated ones', () => {
    const wants = (availableBytes: number, disks: readonly SavedDisk[]): readonly string[] => codes({ domains: [{ ...home, availableBytes }], saved: { disks } });
    const disks = [disk({ dataBytes: 100 }), disk({ sparse: false, virtualBytes: 500, dataBytes: 1 })];
    expect(wants(600, disks)).toEqual([]);
    expect(wants(599, disks)).toEqual(['domain.full']);
  });
});

test('a name that is taken names who has it', () => {
  expect(chooseRestore(facts({ nameTakenBy: 'someone' })).reasons).toEqual([{ code: 'name.taken', object: 'someone', text: expect.stringContaining('demo-restored') as string }]);
});

test('all reasons come at once', () => {
  const [full, foreign] = [domain({ name: 'full', availableBytes: 1 }), domain({ name: 'foreign', dataCenterId: otherCenter })];
  const disks = [disk({ storageDomainId: full.id }), disk({ storageDomainId: foreign.id }), disk({ storageDomainId: randomUUID() })];
  expect(codes({ nameTakenBy: 'someone', domains: [home, full, foreign], profiles: [], saved: { disks }, asked: { macOfNic: [{ nic: 'nic9', mac: '56:6f:00:00:00:09' }] } })).toEqual(['name.taken', 'domain.other-center', 'domain.unknown', 'domain.full', 'network.unknown', 'network.unknown', 'nic.unknown']);
});

test('while nobody can read the backup, only what the engine has against the request is a reason', () => {
  expect(codes({ saved: 'unread' })).toEqual([]);
  expect(codes({ saved: 'unread', nameTakenBy: 'someone', asked: { cluster: 'Nowhere', diskIds: [randomUUID()] } })).toEqual(['name.taken', 'cluster.unknown']);
});

test('whatever the domains: without reasons every disk has a place, in an active data domain of the cluster\'s data center with room for all that goes there', () => {
  const anyDomain = fc.record({ type: fc.constantFrom('data', 'iso'), status: fc.constantFrom('active', 'maintenance', undefined), availableBytes: fc.nat(400), backup: fc.boolean(), dataCenterId: fc.constantFrom(center, otherCenter) });
  fc.assert(
    fc.property(fc.array(anyDomain, { minLength: 1, maxLength: 4 }), fc.array(fc.record({ at: fc.nat(3), dataBytes: fc.nat(300), sparse: fc.boolean() }), { minLength: 1, maxLength: 5 }), (given, wanted) => {
      const domains = given.map((each, index) => domain({ ...each, name: `domain ${index}` }));
      const disks = wanted.map(({ at, dataBytes, sparse }) => disk({ dataBytes, sparse, virtualBytes: 300, storageDomainId: domains[at]?.id ?? randomUUID() }));
      const { reasons, domainOfDisk } = chooseRestore(facts({ domains, saved: { disks } }));
      if (reasons.length > 0) return;
      for (const { diskId } of disks) expect(domains.find(({ id }) => id === domainOfDisk[diskId])).toMatchObject({ type: 'data', status: 'active', backup: false, dataCenterId: center });
      for (const { id, availableBytes } of domains) {
        const there = disks.filter(({ diskId }) => domainOfDisk[diskId] === id);
        expect(there.reduce((sum, each) => sum + (each.sparse ? each.dataBytes : each.virtualBytes), 0)).toBeLessThanOrEqual(availableBytes);
      }
    }),
  );
});
