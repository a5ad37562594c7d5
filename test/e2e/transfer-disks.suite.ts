// Backups by transfer of a VM whose disks come, go and grow between them: which disks are read in full and why, and that what is made is right. And
// which method a run chooses that may choose.
import { some } from '../support/share';
import { change } from './support/changes';
import { codesOf, expectImages, transferManifest, type TransferManifest } from './support/images';
import { backUpAt, expectRestores } from './support/moments';
import { useStack, type Stack } from './support/stack';
import { ask, makeDisk, makeVm, mib, until, type DiskWish, type TestVm } from './support/vms';

const limitMs = 120_000;
const stackOf = useStack();
let stack: Stack;
beforeAll(() => {
  stack = stackOf();
});

const tracked = (alias: string, sizeMib: number): DiskWish => ({ alias, format: 'cow', sizeMib, dataMib: 2, backup: 'incremental' });
const raw: DiskWish = { alias: 'raw', format: 'raw', sizeMib: 4, dataMib: 1 };

/** By the disks' aliases. */
const modesOf = ({ disks }: TransferManifest): Record<string, string> => Object.fromEntries(disks.map(({ settings, mode, image }) => [settings.alias, `${mode}${image.base === null ? '' : ', on its base'}`]));

async function grow({ id }: { readonly id: string }, sizeMib: number): Promise<void> {
  await stack.lab.engine('PUT', `/disks/${id}`, { provisioned_size: sizeMib * mib });
  await until('the disk has grown', async () => ((disk) => disk?.status === 'ok' && disk.provisioned_size === sizeMib * mib)(await ask.disk(stack, id)));
}

async function removeDisk({ id: vmId }: TestVm, { id }: { readonly id: string }): Promise<void> {
  await stack.lab.engine('DELETE', `/vms/${vmId}/diskattachments/${id}`);
  await stack.lab.engine('DELETE', `/disks/${id}`);
  await until('the disk is gone', async () => (await ask.disk(stack, id)) === undefined);
}

async function disksComeAndGo(status: 'down' | 'up'): Promise<void> {
  const vm = await makeVm(stack, `changing-${status}`, [tracked('steady', 8), tracked('grows', 8), tracked('goes', 4), raw], { start: status === 'up' });
  const [steady, grows, goes, other] = vm.disks;
  if (!steady || !grows || !goes || !other) throw new Error('the VM lacks a disk');
  const full = await backUpAt(stack, vm, { kind: 'full' });
  expect((await transferManifest(stack, full.output.backup)).reason.code).toBe('kind.asked');

  await grow(grows, 12);
  await removeDisk(vm, goes);
  const added = await makeDisk(stack, vm.id, tracked('new', 4));
  const now = { ...vm, disks: [steady, grows, other, added] };
  await change(stack, now);
  const second = await backUpAt(stack, vm);
  const manifest = await transferManifest(stack, second.output.backup);
  expect(manifest).toMatchObject({ kind: 'incremental', base: { backupId: full.output.backup.backupId }, reason: { code: 'chain.continued' } });
  expect(codesOf(manifest.notes)).toEqual(['disk.added', 'disk.no-tracking', 'disk.removed', 'disk.resized']);
  expect(codesOf(second.output.notes)).toEqual(codesOf(manifest.notes));
  expect(modesOf(manifest)).toEqual({ steady: 'incremental, on its base', grows: 'full', new: 'full', raw: 'full' });

  await change(stack, now);
  const third = await backUpAt(stack, vm);
  const next = await transferManifest(stack, third.output.backup);
  expect(codesOf(next.notes)).toEqual(['disk.no-tracking']);
  expect(modesOf(next)).toEqual({ steady: 'incremental, on its base', grows: 'incremental, on its base', new: 'incremental, on its base', raw: 'full' });
  for (const { output, moment } of [full, second, third]) await expectImages(stack, output.backup, moment);
  await expectRestores(stack, `changing-${status}`, [full, second, third], ['transfer']);
}

async function methodIsChosen(): Promise<void> {
  const plain = await makeVm(stack, 'untracked', [raw]);
  const vm = await makeVm(stack, 'tracked', [tracked('tracked', 8)]);
  const [byAppliance, byTransfer] = await Promise.all([plain, vm].map(async ({ id }) => stack.track(await stack.client.backupVm({ engine: stack.engine, vmId: id, repository: stack.repository, method: 'auto' })).result()));
  expect(byAppliance).toMatchObject({ backup: { method: 'appliance', kind: 'full', reason: { code: 'method.full-only' } }, notes: [{ code: 'method.untracked' }] });
  expect(byTransfer).toMatchObject({ backup: { method: 'transfer', kind: 'full', reason: { code: 'chain.first' } }, notes: [{ code: 'method.tracked' }] });
}

const changing = 'a disk that grew, one that is new, one that is gone and one that can bear no bitmap, of a VM that is';
const tests: readonly (readonly [string, () => Promise<void>])[] = [
  [`${changing} down`, () => disksComeAndGo('down')],
  [`${changing} up`, () => disksComeAndGo('up')],
  ['a run that may choose its method takes transfers where changes are tracked, else the appliance, and says why', methodIsChosen],
];

test.each(some(tests, 1))('%s', async (_name, prove) => {
  await prove();
}, limitMs);
