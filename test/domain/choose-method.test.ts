// The choice of a method, as a table: what the caller leaves open is decided by what the engine can and what answers, with the reason.
import { chooseBackupMethod, chooseRestoreMethod, methodReasonCodes, type BackupMethodFacts } from '../../domain/choose-method';

const applianceId = 'aaaaaaaa-0000-4000-8000-000000000001';
const served = { applianceId, isServed: true };
const unserved = { applianceId, isServed: false };
const facts: BackupMethodFacts = { insistsOnChain: false, disks: 2, trackedDisks: 0, refusal: undefined, appliance: served };
const seen = new Set<string>();

test.each<readonly [string, Partial<BackupMethodFacts>, string, string, RegExp]>([
  ['a tracked disk', { trackedDisks: 1 }, 'transfer', 'method.tracked', /1 of 2 disks have change tracking/],
  ['the only disk, tracked', { disks: 1, trackedDisks: 1 }, 'transfer', 'method.tracked', /1 of 1 disk has change tracking/],
  ['no tracked disk', {}, 'appliance', 'method.untracked', /no disk of the VM has change tracking/],
  ['no tracked disk and no appliance', { appliance: undefined }, 'transfer', 'method.no-appliance', /no appliance configured/],
  ['no tracked disk and nobody in the appliance', { appliance: unserved }, 'transfer', 'method.no-worker', new RegExp(applianceId)],
  ['a tracked disk, but no transfer now', { trackedDisks: 1, refusal: 'The VM is paused.' }, 'appliance', 'method.refused', /not possible now\. The VM is paused\./],
  ['no transfer now and no appliance', { refusal: 'The VM is paused.', appliance: undefined }, 'transfer', 'method.no-appliance', /./],
  ['a chain that is insisted on', { insistsOnChain: true }, 'transfer', 'method.insists', /full backups only/],
  ['a chain that is insisted on, but no transfer now', { insistsOnChain: true, refusal: 'The VM is paused.' }, 'transfer', 'method.insists', /./],
])('a backup with %s', (_, change, method, code, text) => {
  const choice = chooseBackupMethod({ ...facts, ...change });
  seen.add(choice.reason.code);
  expect(choice).toEqual({ method, reason: { code, text: expect.stringMatching(text) as string } });
  // Whoever reads the reason alone knows what was decided.
  expect(choice.reason.text).toContain(`The method is "${method}"`);
});

test.each([
  [served, 'appliance', 'method.appliance'],
  [unserved, 'transfer', 'method.no-worker'],
  [undefined, 'transfer', 'method.no-appliance'],
] as const)('a restore with the appliance %j', (appliance, method, code) => {
  const choice = chooseRestoreMethod(appliance);
  seen.add(choice.reason.code);
  expect(choice).toMatchObject({ method, reason: { code } });
});

test('no code is without a case', () => expect([...seen].sort()).toEqual([...methodReasonCodes].sort()));
