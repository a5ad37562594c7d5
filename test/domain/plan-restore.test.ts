// Where a backup's disks and VM go: mapping and reasons, one row each, and all reasons at once.
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { chooseRestore, type ClusterFacts, type DomainFacts, type RestoreFacts } from '../../domain/plan/restore';

const [center, otherCenter] = [randomUUID(), randomUUID()];
const cluster: ClusterFacts = { id: randomUUID(), name: 'Default', dataCenterId: center };
const domain = (changes: Partial<DomainFacts> = {}): DomainFacts => ({ id: randomUUID(), name: 'data', type: 'data', status: 'active', availableBytes: 1000, backup: false, dataCenterId: center, ...changes });
const home = domain();

type RestoreDisk = RestoreFacts['disks'][number];
const disk = (changes: Partial<RestoreDisk> = {}): RestoreDisk => ({
  diskId: randomUUID(), alias: 'system', description: '', virtualBytes: 500, format: 'cow', sparse: true, backup: 'none', wipeAfterDelete: false, interface: 'virtio_scsi',
  bootable: true, active: true, readOnly: false, passDiscard: false, storageDomainId: home.id, dataBytes: 100, ...changes,
});
const facts = (changes: Partial<RestoreFacts> = {}): RestoreFacts => ({ name: 'demo-restored', clusters: [cluster], domains: [home], disks: [disk()], origin: { clusterId: cluster.id, clusterName: cluster.name }, ...changes });
const codes = (changes: Partial<RestoreFacts>): readonly string[] => chooseRestore(facts(changes)).reasons.map(({ code }) => code);

describe('the cluster', () => {
  const second: ClusterFacts = { id: randomUUID(), name: 'Second', dataCenterId: center };
  const clusters = [second, cluster];
  test.each<[string, Partial<RestoreFacts>, string]>([
    ['is the one it came from', {}, cluster.id],
    ['is the wanted one', { clusterId: second.id }, second.id],
    ['is found by its name when the engine is a new one', { origin: { clusterId: randomUUID(), clusterName: 'Second' } }, second.id],
  ])('%s', (_what, changes, expected) => {
    expect(chooseRestore(facts({ clusters, ...changes }))).toMatchObject({ clusterId: expected, reasons: [] });
  });

  test.each<[string, Partial<RestoreFacts>]>([
    ['wanted by an id that is not there, even if the old one is', { clusterId: randomUUID() }],
    ['gone from the engine', { origin: { clusterId: randomUUID(), clusterName: 'Gone' } }],
    ['never recorded', { origin: {} }],
  ])('%s is a reason that names those there are', (_what, changes) => {
    const { reasons, clusterId } = chooseRestore(facts(changes));
    expect(clusterId).toBeUndefined();
    expect(reasons).toEqual([expect.objectContaining({ code: 'cluster.unknown', text: expect.stringContaining(`Default (${cluster.id})`) as string })]);
  });
});

describe('the storage domain', () => {
  test('of each disk is its own, or the one that was asked for', () => {
    const second = domain({ name: 'second' });
    const disks = [disk(), disk({ storageDomainId: second.id })];
    const domains = [home, second];
    const [first, other] = disks.map((each) => each.diskId);
    expect(chooseRestore(facts({ disks, domains })).domainOfDisk).toEqual({ [String(first)]: home.id, [String(other)]: second.id });
    expect(chooseRestore(facts({ disks, domains, storageDomainId: second.id })).domainOfDisk).toEqual({ [String(first)]: second.id, [String(other)]: second.id });
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
    const storageDomainId = wanted?.id ?? randomUUID();
    const { reasons, domainOfDisk } = chooseRestore(facts({ domains: [home, ...(wanted ? [wanted] : [])], storageDomainId }));
    expect(reasons).toEqual([expect.objectContaining({ code, object: storageDomainId })]);
    expect(Object.keys(domainOfDisk)).toHaveLength(code === 'domain.full' ? 1 : 0);
    if (code !== 'domain.full') expect(reasons[0]?.text).toContain(`data (${home.id})`);
  });

  test('that was not recorded must be named', () => {
    const bare = disk();
    delete bare.storageDomainId;
    expect(codes({ disks: [bare] })).toEqual(['domain.unknown']);
    expect(codes({ disks: [bare], storageDomainId: home.id })).toEqual([]);
  });

  test('counts what all disks together need: data of sparse ones, all of preallocated ones', () => {
    const wants = (availableBytes: number, disks: readonly RestoreDisk[]): readonly string[] => codes({ domains: [{ ...home, availableBytes }], disks });
    const disks = [disk({ dataBytes: 100 }), disk({ sparse: false, virtualBytes: 500, dataBytes: 1 })];
    expect(wants(600, disks)).toEqual([]);
    expect(wants(599, disks)).toEqual(['domain.full']);
  });
});

test('a name that is taken names who has it', () => {
  expect(chooseRestore(facts({ nameTakenBy: 'someone' })).reasons).toEqual([{ code: 'name.taken', object: 'someone', text: expect.stringContaining('demo-restored') as string }]);
});

test('all reasons come at once', () => {
  const [full, foreign] = [domain({ availableBytes: 1 }), domain({ dataCenterId: otherCenter })];
  const disks = [disk({ storageDomainId: full.id }), disk({ storageDomainId: foreign.id }), disk({ storageDomainId: randomUUID() })];
  expect(codes({ nameTakenBy: 'someone', domains: [home, full, foreign], disks })).toEqual(['name.taken', 'domain.other-center', 'domain.unknown', 'domain.full']);
});

test('whatever the domains: without reasons every disk has a place, in an active data domain of the cluster\'s data center with room for all that goes there', () => {
  const anyDomain = fc.record({ type: fc.constantFrom('data', 'iso'), status: fc.constantFrom('active', 'maintenance', undefined), availableBytes: fc.nat(400), backup: fc.boolean(), dataCenterId: fc.constantFrom(center, otherCenter) });
  fc.assert(
    fc.property(fc.array(anyDomain, { minLength: 1, maxLength: 4 }), fc.array(fc.record({ at: fc.nat(3), dataBytes: fc.nat(300), sparse: fc.boolean() }), { minLength: 1, maxLength: 5 }), (given, wanted) => {
      const domains = given.map((each) => domain(each));
      const disks = wanted.map(({ at, dataBytes, sparse }) => disk({ dataBytes, sparse, virtualBytes: 300, storageDomainId: domains[at]?.id ?? randomUUID() }));
      const { reasons, domainOfDisk } = chooseRestore(facts({ domains, disks }));
      if (reasons.length > 0) return;
      for (const { diskId } of disks) expect(domains.find(({ id }) => id === domainOfDisk[diskId])).toMatchObject({ type: 'data', status: 'active', backup: false, dataCenterId: center });
      for (const { id, availableBytes } of domains) {
        const there = disks.filter(({ diskId }) => domainOfDisk[diskId] === id);
        expect(there.reduce((sum, each) => sum + (each.sparse ? each.dataBytes : each.virtualBytes), 0)).toBeLessThanOrEqual(availableBytes);
      }
    }),
  );
});
