// The two judgements with rules of their own: which permits are enough, and whether LVM's filters let an attached disk through.
import { judgePermissions, judgeTransferPermissions, neededPermits, type PermissionFacts } from '../../../domain/doctor/judge-engine';
import { judgeLvm, passesFilter, type LvmFacts } from '../../../domain/doctor/judge-lvm';
import type { Verdict } from '../../../domain/doctor/checks';

const always = neededPermits.filter(({ needed }) => needed === 'always').map(({ permit }) => permit);
const everything = [...new Set(neededPermits.map(({ permit }) => permit))];
const on = (where: string, permits: readonly string[], role = 'Backup'): PermissionFacts => ({ role, permits, on: where });

describe('permissions', () => {
  test('a role with all of them on System is enough, in one or several roles', () => {
    expect(judgePermissions('u@internal', [on('system', everything)])).toEqual({ verdict: 'ok', text: 'u@internal: Backup on system' });
    expect(judgePermissions('u', [on('system', everything.slice(0, 5), 'A'), on('system', everything.slice(5), 'B')]).verdict).toBe('ok');
  });

  test.each(always)('without %s anywhere it is a problem that names it', (permit) => {
    const { verdict, text } = judgePermissions('u', [on('system', everything.filter((each) => each !== permit))]);
    expect([verdict, text]).toEqual(['problem', expect.stringMatching(new RegExp(`lacks ${permit}( on System)? \\(`))]);
  });

  test('no role at all lacks everything', () => {
    const { verdict, text } = judgePermissions('u', []);
    expect([verdict, text]).toEqual(['problem', expect.stringContaining('no role at all')]);
    for (const permit of always) expect(text).toContain(permit);
  });

  test('on some objects only is a warning', () => {
    const limited = judgePermissions('u', [on('system', everything.filter((each) => each !== 'create_vm')), on('cluster 1', ['create_vm'])]);
    expect(limited).toMatchObject({ verdict: 'warning', text: expect.stringContaining('create_vm (create the restored VM) only on some objects') as string });
  });

  test('IMPORT_EXPORT_VM counts on System alone: a configuration comes from no storage domain', () => {
    const limited = judgePermissions('u', [on('system', everything.filter((each) => each !== 'import_export_vm')), on('data_center 1', everything)]);
    expect(limited).toMatchObject({ verdict: 'problem', text: expect.stringContaining('lacks import_export_vm on System (') as string });
  });

  test('what only VMs with custom properties need is a warning', () => {
    expect(judgePermissions('u', [on('system', everything.filter((each) => each !== 'change_vm_custom_properties'))])).toMatchObject({ verdict: 'warning', text: expect.stringContaining('a VM with custom properties would lack change_vm_custom_properties') as string });
  });

  test('what only method transfer needs is nobody else\'s business', () => {
    const beyond = neededPermits.filter(({ needed }) => needed === 'method transfer').map(({ permit }) => permit).filter((permit) => !always.includes(permit));
    expect(beyond).toEqual(['backup_disk', 'edit_disk_properties']);
    expect(judgePermissions('u', [on('system', everything.filter((permit) => !beyond.includes(permit)))]).verdict).toBe('ok');
  });

  describe('for method transfer', () => {
    const forTransfer = ['backup_disk', 'edit_disk_properties', 'create_disk'];
    const without = (permit: string): string[] => forTransfer.filter((each) => each !== permit);
    const judged = (permissions: readonly PermissionFacts[], hasAppliances = true) => judgeTransferPermissions('u', permissions, { hasAppliances });

    test('three on System are enough', () => {
      expect(judged([on('system', forTransfer)])).toEqual({ verdict: 'ok', text: 'u may do all that the method transfer needs' });
    });

    test.each(forTransfer)('without %s it is a warning that names the method, and a problem when there is no other', (permit) => {
      const text = expect.stringMatching(new RegExp(`^u lacks ${permit}( on System)? \\(.*the method transfer`)) as string;
      expect(judged([on('system', without(permit))])).toEqual({ verdict: 'warning', text });
      expect(judged([on('system', without(permit))], false)).toEqual({ verdict: 'problem', text });
    });

    test('on some objects only is a warning; CREATE_DISK counts on System alone', () => {
      expect(judged([on('system', without('backup_disk')), on('cluster 1', ['backup_disk'])])).toMatchObject({ verdict: 'warning', text: expect.stringContaining('only on some objects') as string });
      expect(judged([on('system', without('create_disk')), on('storage_domain 1', ['create_disk'])])).toMatchObject({ verdict: 'warning', text: expect.stringContaining('lacks create_disk on System') as string });
    });
  });
});

describe('LVM', () => {
  const lvm = (changes: Partial<Extract<LvmFacts, { installed: true }>>): LvmFacts => ({
    installed: true, useDevicesFile: false, devicesFile: '/etc/lvm/devices/system.devices', devicesFileEntries: undefined, globalFilter: ['a|.*|'], filter: ['a|.*|'], ...changes,
  });

  test.each<[string, LvmFacts, Verdict]>([
    ['not installed', { installed: false }, 'skipped'],
    ['as it comes', lvm({}), 'warning'],
    ['with a devices file', lvm({ useDevicesFile: true, devicesFileEntries: 1 }), 'ok'],
    ['with an empty devices file', lvm({ useDevicesFile: true, devicesFileEntries: 0 }), 'ok'],
    ['told to use a devices file that is not there', lvm({ useDevicesFile: true }), 'warning'],
    ['with a devices file that it does not use', lvm({ devicesFileEntries: 1 }), 'warning'],
    ['as docs/operators.md says', lvm({ globalFilter: ['a|^/dev/vda|', 'r|.*|'] }), 'ok'],
    ['with a plain filter', lvm({ filter: ['a|^/dev/vda|', 'r|.*|'] }), 'ok'],
    ['with a global_filter that rejects something else', lvm({ globalFilter: ['r|^/dev/loop|'] }), 'warning'],
    ['with a global_filter that rejects /dev/sd* but knows no other name of a disk', lvm({ globalFilter: ['r|^/dev/sd|'] }), 'ok'],
    ['with a global_filter that accepts by-id names', lvm({ globalFilter: ['a|^/dev/disk/by-id/|', 'r|.*|'] }), 'warning'],
    ['with other delimiters', lvm({ globalFilter: ['a/^\\/dev\\/vda/', 'r{.*}'] }), 'ok'],
  ])('%s', (_, facts, verdict) => {
    expect(judgeLvm(facts).verdict).toBe(verdict);
  });

  test.each<[readonly string[], readonly string[], boolean]>([
    [[], ['/dev/sda'], true],
    [['r|.*|', 'a|.*|'], ['/dev/sda'], false],
    [['a|sda|', 'r|.*|'], ['/dev/sda', '/dev/disk/by-id/x'], true],
    [['r|by-id|'], ['/dev/sda', '/dev/disk/by-id/x'], false],
    [['nonsense', 'a|(|'], ['/dev/sda'], true],
  ])('%j with names %j: accepted is %s', (patterns, names, accepted) => {
    expect(passesFilter(patterns, names)).toBe(accepted);
  });
});
