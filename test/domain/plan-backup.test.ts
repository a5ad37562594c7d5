// May this VM be backed up, and which of its disks? One row per reason, and the promise that all reasons come at once.
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { applianceReasons, chooseBackup, chooseTransferBackup, spaceReasons, type ApplianceFacts, type BackupFacts, type DiskFacts, type SnapshotFacts, type VmFacts } from '../../domain/plan/backup';
import { reasonCodes, refusalText, type Reason } from '../../domain/plan/reasons';

const vm: VmFacts = { id: randomUUID(), name: 'demo', status: 'up', statusText: 'up' };
const busyAppliance = 'aaaaaaaa-0000-4000-8000-000000000001';

function disk(changes: Partial<Omit<DiskFacts, 'settings'>> = {}, alias = 'data'): DiskFacts {
  return {
    settings: { diskId: randomUUID(), alias, description: '', virtualBytes: 2 ** 30, format: 'cow', sparse: true, backup: 'none', wipeAfterDelete: false, interface: 'virtio_scsi', bootable: false, active: true, readOnly: false, passDiscard: false },
    status: 'ok', storageType: 'image', shareable: false, contentType: 'data', ...changes,
  };
}
const facts = (changes: Partial<BackupFacts> = {}): BackupFacts => ({ vm, disks: [disk()], snapshots: [], leaveOutDiskIds: [], quiesce: 'best-effort', ...changes });
const snapshot = (changes: Partial<SnapshotFacts>): SnapshotFacts => ({ description: 'nightly', status: 'ok', type: 'regular', ...changes });
const codes = (reasons: readonly Reason[]): readonly string[] => reasons.map(({ code }) => code);

test.each(['up', 'down', 'paused'])('a VM that is %s with good disks is backed up whole', (status) => {
  const disks = [disk(), disk({ contentType: 'data' }, 'second')];
  expect(chooseBackup(facts({ vm: { ...vm, status, statusText: status }, disks, snapshots: [snapshot({})] }))).toEqual({ disks, leftOut: [], reasons: [] });
});

describe('the VM', () => {
  test.each<[string, Partial<BackupFacts>, string, RegExp]>([
    ['on its way to another state', { vm: { ...vm, status: 'powering_up', statusText: 'powering_up' } }, 'vm.status', /VM demo is powering_up.*Wait/],
    ['locked by the engine', { vm: { ...vm, status: 'image_locked', statusText: 'image_locked' } }, 'vm.status', /image_locked/],
    ['in a state nobody knows', { vm: { ...vm, status: 'other', statusText: 'migrating' } }, 'vm.status', /migrating/],
    ['in preview (by type)', { snapshots: [snapshot({ type: 'preview' })] }, 'vm.preview', /Commit or undo/],
    ['in preview (by status)', { snapshots: [snapshot({ status: 'in_preview' })] }, 'vm.preview', /Commit or undo/],
    ['with a snapshot in the making', { snapshots: [snapshot({ status: 'locked' })] }, 'vm.snapshot-busy', /"nightly"/],
    ['running, and quiescing is required', { quiesce: 'required' }, 'quiesce.impossible', /no evidence.*--explicit-freeze.*best-effort/],
    ['paused, and to be frozen by ourselves', { quiesce: 'required', explicitFreeze: true, vm: { ...vm, status: 'paused', statusText: 'paused' } }, 'quiesce.impossible', /only the agent of a guest that is up/],
    ['without disks', { disks: [] }, 'vm.no-disks', /no disk/],
  ])('%s', (_what, changes, code, text) => {
    const { reasons } = chooseBackup(facts(changes));
    expect(codes(reasons)).toEqual([code]);
    expect(reasons[0]).toMatchObject({ object: vm.id, text: expect.stringMatching(text) as string });
  });

  test('that is down needs no quiescing, so requiring it is fine', () => {
    expect(chooseBackup(facts({ quiesce: 'required', vm: { ...vm, status: 'down', statusText: 'down' } })).reasons).toEqual([]);
    expect(chooseBackup(facts({ quiesce: 'required', explicitFreeze: true })).reasons).toEqual([]);
  });
});

describe('a disk', () => {
  const rows: readonly [string, Partial<DiskFacts>, string][] = [
    ['that is locked', { status: 'locked' }, 'disk.locked'],
    ['that is illegal', { status: 'illegal' }, 'disk.illegal'],
    ['in a state nobody knows', { status: 'other' }, 'disk.locked'],
    ['that is shared', { shareable: true }, 'disk.shared'],
    ['that is a direct LUN', { storageType: 'lun' }, 'disk.lun'],
    ['that is a shareable LUN', { storageType: 'lun', shareable: true }, 'disk.lun'],
    ['on Cinder', { storageType: 'cinder' }, 'disk.unsupported'],
    ['on managed block storage', { storageType: 'managed_block_storage' }, 'disk.unsupported'],
    ['that is an ISO', { contentType: 'iso' }, 'disk.unsupported'],
    ['that holds the engine', { contentType: 'hosted_engine' }, 'disk.unsupported'],
  ];

  test.each(rows)('%s is a reason that names it and says what to do', (_what, changes, code) => {
    const bad = disk(changes, 'bad');
    const { reasons } = chooseBackup(facts({ disks: [disk(), bad] }));
    expect(reasons).toEqual([{ code, object: bad.settings.diskId, text: expect.stringMatching(/^Disk bad \([0-9a-f-]{36}\) of VM demo .*(?:Leave it out|Wait|Repair)/) as string }]);
  });

  test.each(rows)('%s does no harm when it is left out by choice', (_what, changes) => {
    const [good, bad] = [disk(), disk(changes, 'bad')];
    expect(chooseBackup(facts({ disks: [good, bad], leaveOutDiskIds: [bad.settings.diskId] }))).toEqual({ disks: [good], leftOut: [{ diskId: bad.settings.diskId, alias: 'bad', why: 'left out by choice' }], reasons: [] });
  });

  test('that is to be left out but is not there is a reason with the disks there are', () => {
    const [there, unknown] = [disk(), randomUUID()];
    const { reasons } = chooseBackup(facts({ disks: [there], leaveOutDiskIds: [unknown] }));
    expect(reasons).toEqual([{ code: 'disk.unknown', object: unknown, text: expect.stringContaining(there.settings.diskId) as string }]);
  });

  test('to leave out every disk leaves nothing to back up', () => {
    const only = disk();
    expect(codes(chooseBackup(facts({ disks: [only], leaveOutDiskIds: [only.settings.diskId] })).reasons)).toEqual(['vm.no-disks']);
  });
});

test('all reasons come at once', () => {
  const unknown = randomUUID();
  const { reasons } = chooseBackup({
    vm: { ...vm, status: 'other', statusText: 'migrating' },
    disks: [disk({ status: 'locked' }), disk({ status: 'illegal' }), disk({ shareable: true }), disk({ storageType: 'lun' })],
    snapshots: [snapshot({ type: 'preview' }), snapshot({ status: 'locked' })],
    leaveOutDiskIds: [unknown],
    quiesce: 'required',
  });
  expect(codes(reasons)).toEqual(['vm.status', 'vm.preview', 'vm.snapshot-busy', 'quiesce.impossible', 'disk.unknown', 'disk.locked', 'disk.illegal', 'disk.shared', 'disk.lun']);
});

test('whatever the facts: every disk is taken, left out or the object of a reason, never two of them but taken and refused', () => {
  const anyDisk = fc.record({ status: fc.constantFrom('ok', 'locked', 'illegal', 'other'), storageType: fc.constantFrom('image', 'lun', 'cinder'), shareable: fc.boolean(), contentType: fc.constantFrom('data', 'iso'), leftOut: fc.boolean() });
  fc.assert(
    fc.property(fc.array(anyDisk, { maxLength: 6 }), fc.constantFrom('up', 'down', 'paused', 'other'), (rows, status) => {
      const disks = rows.map(({ status: state, storageType, shareable, contentType }, index) => disk({ status: state, storageType, shareable, contentType }, `disk-${index}`));
      const leaveOutDiskIds = disks.filter((_disk, index) => rows[index]?.leftOut).map((each) => each.settings.diskId);
      const choice = chooseBackup(facts({ vm: { ...vm, status, statusText: status }, disks, leaveOutDiskIds }));
      expect([...choice.disks.map((each) => each.settings.diskId), ...choice.leftOut.map((each) => each.diskId)].sort()).toEqual(disks.map((each) => each.settings.diskId).sort());
      const refused = new Set(choice.reasons.map((each) => each.object));
      for (const { diskId } of choice.leftOut) expect(refused.has(diskId)).toBe(false);
      const good = (each: DiskFacts): boolean => each.status === 'ok' && each.storageType === 'image' && !each.shareable && each.contentType === 'data';
      for (const each of choice.disks) expect(refused.has(each.settings.diskId)).toBe(!good(each));
      // Nothing is refused without cause: a plan without reasons has good disks only, and at least one.
      if (choice.reasons.length === 0) expect(choice.disks.length).toBeGreaterThan(0);
      for (const { code } of choice.reasons) expect(reasonCodes).toContain(code);
    }),
  );
});

describe('the appliance', () => {
  const appliance: VmFacts = { id: busyAppliance, name: 'appliance', status: 'up', statusText: 'up' };
  const judge = (changes: Partial<ApplianceFacts>, wanted: readonly string[] = [], protectedVmId: string | undefined = vm.id): readonly Reason[] =>
    applianceReasons({ applianceId: busyAppliance, vm: appliance, snapshots: [], attachedDiskIds: [], ...changes }, 'lab', protectedVmId, wanted);

  test('that is up and free is fine', () => {
    expect(judge({ attachedDiskIds: [randomUUID()], snapshots: [snapshot({})] }, [randomUUID()])).toEqual([]);
    expect(judge({}, [], undefined)).toEqual([]);
  });

  test.each<[string, Partial<ApplianceFacts>, string, RegExp]>([
    ['that nobody named', { applianceId: undefined, vm: undefined }, 'appliance.unset', /engines\.lab\.appliances/],
    ['that the engine does not know', { vm: undefined }, 'appliance.unknown', new RegExp(busyAppliance)],
    ['that is down', { vm: { ...appliance, status: 'down', statusText: 'down' } }, 'appliance.down', /Start it/],
    ['in preview', { snapshots: [snapshot({ type: 'preview' })] }, 'appliance.preview', /Commit or undo/],
    ['with a locked snapshot', { snapshots: [snapshot({ status: 'locked' })] }, 'appliance.busy', /Wait/],
  ])('%s', (_what, changes, code, text) => {
    const reasons = judge(changes);
    expect(codes(reasons)).toEqual([code]);
    expect(reasons[0]?.text).toMatch(text);
  });

  test('that is the VM itself, whatever else is wrong with it', () => {
    expect(codes(judge({ vm: { ...appliance, status: 'down', statusText: 'down' } }, [], busyAppliance))).toEqual(['appliance.is-the-vm']);
  });

  test('that has disks we want attached already: one reason each, beside all others', () => {
    const wanted = [randomUUID(), randomUUID(), randomUUID()];
    const reasons = judge({ vm: { ...appliance, status: 'paused', statusText: 'paused' }, attachedDiskIds: wanted.slice(0, 2), snapshots: [snapshot({ status: 'locked' })] }, wanted);
    expect(reasons.map(({ code, object }) => [code, object])).toEqual([['appliance.down', busyAppliance], ['appliance.busy', busyAppliance], ['appliance.other', wanted[0]], ['appliance.other', wanted[1]]]);
  });
});

describe('space', () => {
  test('that is plenty is no reason, that is too little names both figures', () => {
    expect(spaceReasons('main', 1000, 2 ** 40)).toEqual([]);
    expect(spaceReasons('main', 2 ** 30, 2 ** 30)).toEqual([{ code: 'repository.full', object: 'main', text: expect.stringMatching(/main has 1073741824 bytes free, the backup may need \d+/) as string }]);
  });

  test('always leaves room beyond the data, and more space is never worse', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31 - 1), fc.nat(2 ** 31 - 1), fc.nat(1000), (needed, available, more) => {
        const fits = (bytes: number): boolean => spaceReasons('main', needed, bytes).length === 0;
        if (fits(available)) {
          expect(available).toBeGreaterThan(needed);
          expect(fits(available + more)).toBe(true);
        }
      }),
    );
  });
});

describe('the text of a refusal', () => {
  const reasons: readonly Reason[] = [{ code: 'vm.preview', object: 'x', text: 'The first.' }, { code: 'disk.lun', object: 'y', text: 'The second.' }];
  test('has a line for each reason, with its code', () => {
    expect(refusalText('The backup of VM demo', reasons)).toBe('The backup of VM demo was refused before anything was created, for 2 reasons:\n- The first. [vm.preview]\n- The second. [disk.lun]');
    expect(refusalText('It', reasons.slice(0, 1))).toContain('for one reason:\n- The first. [vm.preview]');
  });
});

describe('by transfer', () => {
  type Facts = Parameters<typeof chooseTransferBackup>[0];
  const byTransfer = (changes: Partial<Facts> = {}) => chooseTransferBackup({ ...facts(changes), vmBackups: changes.vmBackups ?? [] });
  const state = (phase: string) => ({ id: randomUUID(), phase, phaseText: phase });

  test.each(['up', 'down'])('a VM that is %s with good disks is backed up whole, and quiescing may be required', (status) => {
    const disks = [disk(), disk({}, 'second')];
    expect(byTransfer({ vm: { ...vm, status, statusText: status }, disks, quiesce: 'required', vmBackups: [state('succeeded'), state('failed')] })).toEqual({ disks, leftOut: [], reasons: [] });
  });

  test('a paused VM is not: the engine refuses it', () => {
    expect(byTransfer({ vm: { ...vm, status: 'paused', statusText: 'paused' } }).reasons).toEqual([expect.objectContaining({ code: 'vm.status', text: expect.stringContaining('up or down') as string })]);
  });

  test.each(['initializing', 'ready', 'finalizing', 'other'])('nor is one with another backup that is %s', (phase) => {
    const busy = state(phase);
    expect(byTransfer({ vmBackups: [state('succeeded'), busy] }).reasons).toEqual([expect.objectContaining({ code: 'vm.backup-busy', object: vm.id, text: expect.stringContaining(busy.id) as string })]);
  });

  test('a disk that is not active is named; left out it does no harm', () => {
    const off = disk();
    const asleep = { ...off, settings: { ...off.settings, active: false } };
    expect(byTransfer({ disks: [disk(), asleep] }).reasons).toEqual([expect.objectContaining({ code: 'disk.inactive', object: off.settings.diskId })]);
    expect(byTransfer({ disks: [disk(), asleep], leaveOutDiskIds: [off.settings.diskId] }).reasons).toEqual([]);
    expect(codes(chooseBackup(facts({ disks: [disk(), asleep] })).reasons)).toEqual([]);
  });

  test('its reasons do not speak of snapshots and appliances', () => {
    const texts = byTransfer({ disks: [disk({ shareable: true }), disk({ storageType: 'lun' }), disk({ storageType: 'cinder' })] }).reasons.map(({ text }) => text).join(' ');
    expect(texts).toContain('VM backup');
    expect(texts).not.toMatch(/snapshot|appliance/);
  });
});
