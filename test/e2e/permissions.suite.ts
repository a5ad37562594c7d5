// A narrow role of the engine's user: exactly the permits that docs/operators.md lists for a method are enough for a backup, a restore that starts
// its VM, and one that is undone; without any one of them doctor and planning name it, and nothing has been made. `npm test` takes some
// of them away, by the seed; `HOLDFAST_TESTS=whole npx jest test/e2e/one-stack` all.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { HoldfastRunError } from '../../client';
import type { CheckId } from '../../domain/doctor/checks';
import { neededPermits } from '../../domain/doctor/judge-engine';
import { some } from '../support/share';
import { untilPhase } from './support/copies';
import { useStack, type Stack, type WorkerConfigFile } from './support/stack';
import { ask, makeVm, mib, type TestVm } from './support/vms';

const username = 'holdfast@internal';
const stackOf = useStack({ configure: { control: asHoldfast } });
const always = neededPermits.filter(({ needed }) => needed === 'always').map(({ permit }) => permit);

/** The lab's password for the user, where the administrator's stood. */
function asHoldfast(config: WorkerConfigFile): WorkerConfigFile {
  const engines = config['engines'] as Record<string, { readonly password: { readonly file: string } }>;
  return {
    ...config,
    engines: Object.fromEntries(Object.entries(engines).map(([name, engine]) => {
      const file = path.join(path.dirname(engine.password.file), 'holdfast-password');
      writeFileSync(file, '', { mode: 0o600 });
      return [name, { ...engine, username, password: { file } }];
    })),
  };
}

interface Connection {
  readonly limitedUsers: readonly { readonly username: string; readonly password: string }[];
}
interface Named {
  readonly id: string;
  readonly name: string;
}

let stack: Stack;
let vm: TestVm;
let roleId: string;
let numbers: ReadonlyMap<string, string>;

beforeAll(async () => {
  stack = stackOf();
  const { limitedUsers } = JSON.parse(readFileSync(stack.parts.lab.connectionFile, 'utf8')) as Connection;
  const config = JSON.parse(readFileSync(path.join(stack.parts.state, 'worker-control.json'), 'utf8')) as { readonly engines: Record<string, { readonly password: { readonly file: string } }> };
  // Secrets are read when they are needed.
  writeFileSync(config.engines[stack.engine]?.password.file ?? '', limitedUsers.find((user) => user.username === username)?.password ?? '');
  const { role } = (await stack.lab.engine('GET', '/roles')) as { readonly role: readonly Named[] };
  const superUser = role.find(({ name }) => name === 'SuperUser')?.id ?? '';
  const { permit } = (await stack.lab.engine('GET', `/roles/${superUser}/permits`)) as { readonly permit: readonly Named[] };
  numbers = new Map(permit.map(({ id, name }) => [name, id]));
  const user = (await stack.lab.engine('POST', '/users', { user_name: `${username}-authz` })) as Named;
  const made = (await stack.lab.engine('POST', '/roles', { name: 'Holdfast', administrative: true, permits: { permit: always.map((each) => ({ id: numbers.get(each) })) } })) as Named;
  roleId = made.id;
  await stack.lab.engine('POST', '/permissions', { role: { id: roleId }, user: { id: user.id } });
  vm = await makeVm(stack, 'narrow', [{ alias: 'narrow_Disk1', format: 'cow', sizeMib: 32, dataMib: 8 }]);
}, 180_000);

type Method = 'appliance' | 'transfer';
const backUp = async (method: Method = 'appliance') => stack.track(await stack.client.backupVm({ engine: stack.engine, vmId: vm.id, repository: stack.repository, method }));
const restore = async (backupId: string, changes: { readonly method?: Method; readonly start?: boolean; readonly bandwidthBytesPerSecond?: number } = {}) =>
  stack.track(await stack.client.restoreVm({ engine: stack.engine, repository: stack.repository, backupId, name: 'narrow-restored', ...changes }));
const judged = async (check: CheckId = 'engine.permissions') => (await stack.client.runDoctor({ engine: stack.engine })).checks.find(({ id }) => id === check);
const reasonsOf = async (run: Promise<{ result(): Promise<unknown> }>): Promise<readonly string[]> => {
  const error = await (await run).result().then(() => undefined, (failure: unknown) => failure as HoldfastRunError);
  return error?.details.reasons.map(({ code, object }) => `${code} ${object}`) ?? ['completed'];
};

const grant = (permit: string) => stack.lab.engine('POST', `/roles/${roleId}/permits`, { id: numbers.get(permit) });
const withdraw = (permit: string) => stack.lab.engine('DELETE', `/roles/${roleId}/permits/${numbers.get(permit) ?? ''}`);

let backupId: string;

test('exactly these permits are enough for a backup and a restore that starts its VM', async () => {
  const { backup, warnings } = await (await backUp()).result();
  expect(warnings).toEqual([]);
  backupId = backup.backupId;
  const restored = await (await restore(backupId, { start: true })).result();
  expect(restored).toMatchObject({ started: true, warnings: [], leftovers: [] });
  stack.keptVmIds.add(restored.vmId);
  expect((await judged())?.verdict).toBe('warning');
  expect(await judged('engine.transfer-permissions')).toMatchObject({ verdict: 'warning', text: expect.stringMatching(/lacks backup_disk \(.*edit_disk_properties \(/) as string });
  await stack.lab.bring(restored.vmId, 'down');
  await stack.lab.removeWithDisks(restored.vmId);
}, 180_000);

test('and for a restore that is undone', async () => {
  const handle = await restore(backupId, { bandwidthBytesPerSecond: mib });
  await untilPhase(handle, 'copy');
  await handle.cancel();
  const ended = await handle.result().then(() => undefined, (error: unknown) => error as HoldfastRunError);
  expect(ended).toMatchObject({ code: 'run.cancelled', details: { leftovers: [] } });
}, 180_000);

test.each(some(always.filter((permit) => permit !== 'login'), 4))('without %s doctor and planning name it, and nothing has been made', async (permit) => {
  const isForBackup = ['manipulate_vm_snapshots', 'configure_vm_storage', 'attach_disk'].includes(permit);
  await withdraw(permit);
  try {
    expect(await judged()).toMatchObject({ verdict: 'problem', text: expect.stringContaining(`lacks ${permit} `) as string });
    const expected = [`engine.permit ${permit}`];
    if (isForBackup) expect(await reasonsOf(backUp())).toEqual(expected);
    if (permit !== 'manipulate_vm_snapshots') expect(await reasonsOf(restore(backupId, { start: true }))).toEqual(expected);
    expect(await ask.snapshots(stack, vm.id)).toEqual([]);
  } finally {
    await grant(permit);
  }
}, 120_000);

test('without login nobody gets in, and the doctor says so', async () => {
  await withdraw('login');
  const { checks } = await stack.client.runDoctor({ engine: stack.engine });
  await grant('login');
  expect(checks.find(({ id }) => id === 'engine.login')).toMatchObject({ verdict: 'problem' });
}, 60_000);

describe('by the method transfer', () => {
  /** The engine makes and merges a hybrid backup's snapshot without asking anybody. */
  const notNeeded = 'manipulate_vm_snapshots';
  const ofBackup = ['backup_disk', 'edit_disk_properties', 'create_disk'];
  const ofRestore = always.filter((permit) => ![notNeeded, 'login', ...ofBackup].includes(permit));
  const added = ['backup_disk', 'edit_disk_properties'];
  const made = async (): Promise<unknown> => ({
    backups: await stack.lab.engine('GET', `/vms/${vm.id}/backups`), transfers: await stack.lab.engine('GET', '/imagetransfers'), vms: (await ask.vms(stack)).map(({ id }) => id), disks: (await ask.disks(stack)).map(({ id }) => id),
  });
  let ofTransferId: string;

  beforeAll(async () => {
    await withdraw(notNeeded);
    for (const permit of added) await grant(permit);
  });
  afterAll(async () => {
    for (const permit of added) await withdraw(permit);
    await grant(notNeeded);
  });

  test('exactly its permits are enough for a backup and a restore that starts its VM', async () => {
    const { backup, warnings, leftovers } = await (await backUp('transfer')).result();
    expect({ warnings, leftovers, method: backup.method }).toEqual({ warnings: [], leftovers: [], method: 'transfer' });
    ofTransferId = backup.backupId;
    const restored = await (await restore(ofTransferId, { method: 'transfer', start: true })).result();
    expect(restored).toMatchObject({ started: true, warnings: [], leftovers: [] });
    stack.keptVmIds.add(restored.vmId);
    expect(await judged('engine.transfer-permissions')).toMatchObject({ verdict: 'ok' });
    await stack.lab.bring(restored.vmId, 'down');
    await stack.lab.removeWithDisks(restored.vmId);
  }, 180_000);

  test.each([...some(ofBackup, 2), ...some(ofRestore, 3)])('without %s doctor and planning name it, and nothing has been made', async (permit) => {
    const before = await made();
    await withdraw(permit);
    try {
      const isItsOwn = ofBackup.includes(permit);
      expect((await judged(isItsOwn ? 'engine.transfer-permissions' : 'engine.permissions'))?.text).toMatch(new RegExp(`lacks (?:.*, )?${permit}(?: on System)? \\(`));
      if (isItsOwn) expect(await reasonsOf(backUp('transfer'))).toEqual([`engine.permit ${permit}`]);
      if (permit !== 'backup_disk') expect(await reasonsOf(restore(ofTransferId, { method: 'transfer', start: true }))).toEqual([`engine.permit ${permit}`]);
      expect(await made()).toEqual(before);
    } finally {
      await grant(permit);
    }
  }, 120_000);
});
