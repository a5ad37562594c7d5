// What is sent to the engine for a restore: the saved configuration with another identity, without disks and without
// anything that points into the engine it came from. Everything else stays.
import fc from 'fast-check';
import { readOvf, type RewriteRequest, rewriteOvf } from '../../domain/ovf';
import { demo, escapeXml, failureOf, foreignContent, foreignSections, ovfOf, type Sample } from './ovf-samples';

const newVmId = '0e000000-0000-4000-8000-000000000001';
const newNicIds = ['0e000000-0000-4000-8000-0000000000a1', '0e000000-0000-4000-8000-0000000000a2'];
const asNew: RewriteRequest = { vmId: newVmId, name: 'demo-restored', nics: 'new', newIds: newNicIds, stripDisks: true };
const asOriginal: RewriteRequest = { vmId: demo.vmId, name: demo.name, nics: 'keep', stripDisks: true };

test('as a new VM: another id and name, fresh NICs without MACs, networks kept, no disks', () => {
  const ovf = readOvf(rewriteOvf(ovfOf(demo), asNew));
  expect(ovf).toMatchObject({ vmId: newVmId, name: 'demo-restored', clusterName: 'Default', disks: [] });
  expect(ovf.nics).toEqual([
    { id: newNicIds[0], index: 0, name: 'nic1', mac: '', network: 'ovirtmgmt', profile: 'ovirtmgmt' },
    { id: newNicIds[1], index: 1, name: 'nic2', mac: '', network: 'storage net', profile: 'storage net' },
  ]);
});

test('as the original: identity and NICs as saved, no disks', () => {
  const ovf = readOvf(rewriteOvf(ovfOf(demo), asOriginal));
  expect(ovf).toEqual({ ...readOvf(ovfOf(demo)), disks: [] });
});

test('ids may come from a function', () => {
  const ids = [...newNicIds];
  expect(rewriteOvf(ovfOf(demo), { ...asNew, newIds: () => ids.shift() ?? '' })).toBe(rewriteOvf(ovfOf(demo), asNew));
});

test.each([
  ['files of disks', '<File'],
  ['disks', '<Disk'],
  ['hardware of disks', '<rasd:ResourceType>17<'],
  ['snapshots', 'SnapshotsSection'],
  ['affinity groups', 'AffinityGroupsSection'],
  ['affinity labels', 'AffinityLabelsSection'],
  ['users', 'UserDomainsSection'],
  ['vTPM and NVRAM', 'VmExternalDataSection'],
  ['the quota', 'quota_id'],
  ['the lease domain', 'LeaseDomainId'],
  ['host pinning', 'DedicatedVmForVds'],
  ['CPU pinning', '<CpuPinning>'],
  ['snapshot ids of devices', 'SnapshotId'],
  ['the template', 'golden'],
])('%s are not sent', (_what, trace) => {
  const saved = ovfOf({ ...demo, extraContent: foreignContent, extraSections: foreignSections });
  expect(saved).toContain(trace);
  const sent = rewriteOvf(saved, asNew);
  expect(sent).not.toContain(trace);
  // Nor for the original: its old place may be gone.
  expect(rewriteOvf(saved, asOriginal)).not.toContain(trace);
});

test('the template becomes Blank, manual pinning goes with its pins', () => {
  const sent = rewriteOvf(ovfOf({ ...demo, extraContent: foreignContent }), asNew);
  expect(sent).toContain('<TemplateId>00000000-0000-0000-0000-000000000000</TemplateId><TemplateName>Blank</TemplateName>');
  expect(sent).toContain('<CpuPinningPolicy>0</CpuPinningPolicy>');
});

test('what the reader matches literally stays literal: declaration, prefixes, the namespace with its slash', () => {
  const sent = rewriteOvf(ovfOf(demo), asNew);
  expect(sent).toMatch(/^<\?xml version="1.0" encoding="UTF-8"\?><ovf:Envelope /);
  expect(sent).toContain('xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1/"');
  expect(sent).toContain('ovf:version="4.5.0.0"');
  expect(sent).toContain('xsi:type="ovf:VirtualHardwareSection_Type"');
  expect(sent).toContain(`<Section ovf:id="${newVmId}" ovf:required="false" xsi:type="ovf:OperatingSystemSection_Type">`);
  expect(sent).not.toMatch(/ xmlns="/);
});

test('a pretty-printed file keeps its shape, leaves no holes, and its empty properties are really empty', () => {
  const sent = rewriteOvf(ovfOf({ ...demo, gap: '\n  ' }), asNew);
  expect(sent).not.toMatch(/\n\s*\n/);
  expect(sent).toMatch(/<PredefinedProperties(?:\/>|><\/PredefinedProperties>)/);
});

test('NICs are changed by their place: network, profile and MAC, with old ids and with new ones', () => {
  const nicChanges = [{ mac: '56:6f:00:00:00:aa', network: 'lab', profile: 'lab-fast' }, { mac: '', network: '', profile: '' }];
  for (const request of [asNew, asOriginal]) {
    const { nics } = readOvf(rewriteOvf(ovfOf(demo), { ...request, nicChanges }));
    expect(nics.map(({ network, profile, mac }) => [network, profile, mac])).toEqual([['lab', 'lab-fast', '56:6f:00:00:00:aa'], ['', '', '']]);
    expect(nics.map(({ id }) => id)).toEqual(request === asNew ? newNicIds : demo.nics.map(({ id }) => id));
  }
});

test('back to the same place keeps what names objects of that engine; its snapshots are gone all the same', () => {
  const saved = ovfOf({ ...demo, extraContent: foreignContent, extraSections: foreignSections });
  const sent = rewriteOvf(saved, { ...asOriginal, samePlace: true });
  for (const kept of ['DedicatedVmForVds', '<CpuPinning>', 'LeaseDomainId', 'AffinityGroupsSection', 'UserDomainsSection']) expect(sent).toContain(kept);
  for (const gone of ['SnapshotsSection', 'SnapshotId', '<Disk', 'golden']) expect(sent).not.toContain(gone);
});

test('a saved configuration without a name gets one, first in Content', () => {
  const sent = rewriteOvf(ovfOf(demo).replace('<Name>demo</Name>', ''), asNew);
  expect(sent).toContain('xsi:type="ovf:VirtualSystem_Type"><Name>demo-restored</Name>');
});

test('line breaks in attributes survive (a cloud-init script is one attribute)', () => {
  const vmInit = '<VmInit ovf:hostname="demo" ovf:customScript="write_files:&#10;- path: /etc/x&#9;&#13;&#10;  content: &quot;a &amp; b&quot;"></VmInit>';
  const sent = rewriteOvf(ovfOf({ ...demo, extraContent: vmInit }), asNew);
  expect(sent).toMatch(/write_files:&#(?:10|xA);- path: \/etc\/x&#(?:9|x9);&#(?:13|xD);&#(?:10|xA); {2}content: &quot;a &amp; b&quot;/i);
});

test.each([
  ['too few ids', { ...asNew, newIds: newNicIds.slice(0, 1) }, /Network card 2/],
  ['the same id twice', { ...asNew, newIds: [newNicIds[0] ?? '', newNicIds[0] ?? ''] }, /Network card 2/],
  ['no ids', { vmId: newVmId, name: 'x', nics: 'new', stripDisks: true }, /Network card 1/],
  ['a VM id that is none', { ...asNew, vmId: 'x' }, /"x" cannot be the id/],
  ['no name', { ...asNew, name: '' }, /name of a VM/],
  ['a name with a control character', { ...asNew, name: 'a\u0000b' }, /name of a VM/],
] satisfies readonly (readonly [string, RewriteRequest, RegExp])[])('%s is refused as input', (_what, request, message) => {
  const failure = failureOf(() => rewriteOvf(ovfOf(demo), request));
  expect(failure.code).toBe('input.invalid');
  expect(failure.message).toMatch(message);
});

test('a network card without its mandatory elements is refused by its name', () => {
  const spoiled = ovfOf(demo).replace('<rasd:Connection>storage net</rasd:Connection>', '');
  expect(() => rewriteOvf(spoiled, asNew)).toThrow(/network card "nic2" has no rasd:Connection/);
});

describe('for any VM', () => {
  const uuid = fc.uuid();
  // What XML can hold at all, without line feeds (a parser turns them into spaces in attributes).
  const words = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((text) => !/[\p{Cc}\p{Cs}\uFFFE\uFFFF]/u.test(text) && text.trim() === text && text !== '');
  const sample: fc.Arbitrary<Sample> = fc.record({
    vmId: uuid,
    name: words,
    disks: fc.array(fc.record({ diskId: uuid, imageId: uuid, alias: words }), { maxLength: 4 }),
    nics: fc.array(fc.record({ id: uuid, name: words, mac: fc.stringMatching(/^56:6f(:[0-9a-f]{2}){4}$/), network: words }), { maxLength: 3 }),
    extraContent: fc.array(words, { maxLength: 3 }).map((texts) => texts.map((text) => `<NewerThanUs ovf:note="${escapeXml(text)}"><Inner>${escapeXml(text)}</Inner></NewerThanUs>`).join('')),
    gap: fc.constantFrom('', '\n', '\n    '),
  });
  const request = fc.record({
    vmId: uuid,
    name: words,
    nics: fc.constant('new' as const),
    newIds: fc.uniqueArray(uuid, { minLength: 3, maxLength: 3 }),
    stripDisks: fc.constant(true as const),
  });

  test('rewriting again changes nothing', () => {
    fc.assert(fc.property(sample, request, (vm, how) => {
      const once = rewriteOvf(ovfOf(vm), how);
      expect(rewriteOvf(once, how)).toBe(once);
    }), { numRuns: 60 });
  });

  test('no id and no MAC of the saved VM is left, and no disk', () => {
    fc.assert(fc.property(sample, request, (vm, how) => {
      const sent = rewriteOvf(ovfOf(vm), how);
      for (const id of [vm.vmId, ...vm.disks.flatMap((disk) => [disk.diskId, disk.imageId]), ...vm.nics.map((nic) => nic.id)]) expect(sent).not.toContain(id);
      expect(sent).not.toMatch(/>56:6f:/);
      expect(readOvf(sent)).toMatchObject({ vmId: how.vmId, name: how.name, disks: [] });
      expect(readOvf(sent).nics.map((nic) => nic.id)).toEqual(how.newIds.slice(0, vm.nics.length));
    }), { numRuns: 60 });
  });

  test('elements that we do not know stay, with every character', () => {
    fc.assert(fc.property(sample, request, (vm, how) => {
      const unknown = (xml: string): readonly string[] => [...xml.matchAll(/<NewerThanUs.*?<\/NewerThanUs>/gs)].map(([text]) => text.replaceAll('&quot;', '"').replaceAll('&gt;', '>'));
      expect(unknown(rewriteOvf(ovfOf(vm), how))).toEqual(unknown(ovfOf(vm)));
    }), { numRuns: 60 });
  });

  test('network cards keep their place, name and network', () => {
    fc.assert(fc.property(sample, request, (vm, how) => {
      const shape = (xml: string): unknown => readOvf(xml).nics.map(({ index, name, network, profile }) => ({ index, name, network, profile }));
      expect(shape(rewriteOvf(ovfOf(vm), how))).toEqual(shape(ovfOf(vm)));
    }), { numRuns: 60 });
  });
});
