// What ends a chain, or seems to: the engine loses checkpoints or their bitmaps, QEMU is killed, other products are at work, an image of the repository
// is missing or altered. The next backup heals the chain by itself and says why; who insists on a kind is refused with the same reason.
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { LabFaults, type LabFault } from '../crash/lab-faults';
import { change } from './support/changes';
import { setLab } from './support/lab-control';
import { backUpAt, expectRestores, transferBackup, type Style } from './support/moments';
import { refused, refusedBackup } from './support/refusals';
import { useStack, type Stack } from './support/stack';
import { backUpInTrouble, everyStyle, expectSealed, makeLanes, nextIsRight, rowsToProve, type FaultRow, type Lane, type Lanes } from './support/style-lanes';
import { checkpointIds, eventsOf } from './support/vm-backups';

const limitMs = 180_000;
const stackOf = useStack();
let stack: Stack;
let laneOf: Lanes;

const onLanes = (styles: readonly Style[], work: (lane: Lane) => Promise<void>): Promise<unknown> => Promise.all(styles.map((style) => work(laneOf(style))));

/** A full backup instead of an incremental one, in the same run, for this reason; only its checkpoint is left. */
async function healed(lane: Lane, reason: string, faults: readonly LabFault[] = []): Promise<string> {
  const point = await backUpInTrouble(stack, lane, { faults: () => faults, isQuiet: true });
  const manifest = await expectSealed(stack, lane, point);
  expect({ kind: manifest.kind, base: manifest.base, code: manifest.reason.code }).toEqual({ kind: 'full', base: null, code: reason });
  expect(await checkpointIds(stack, lane.vm)).toEqual([point.output.backup.checkpointId]);
  return manifest.reason.text;
}

/** One full backup: a hybrid one redefines no checkpoint, but the removal of an old one from a running VM does, and takes all there are without good bitmaps. */
const healedFromLoss = (lane: Lane, faults: readonly LabFault[] = []): Promise<string> => healed(lane, lane.style === 'live' ? 'checkpoint.refused' : 'checkpoint.unusable', faults);

const goesOn = async (lane: Lane, restore = false): Promise<void> => expect(await nextIsRight(stack, lane, { restore })).toMatchObject({ kind: 'incremental', reason: { code: 'chain.continued' } });

/** The image of a full backup, and the incremental backup that lies on it: nothing older is left to go on from. */
async function imageHarmed({ vm, diskId }: Lane, harm: (file: string) => Promise<void>, judge: (newestId: string) => Promise<void>): Promise<void> {
  await (await transferBackup(stack, vm, { kind: 'full' })).result();
  await change(stack, vm);
  const { output, moment } = await backUpAt(stack, vm);
  expect(output.backup.kind).toBe('incremental');
  const file = path.join(stack.parts.repository.path, 'vms', vm.id, output.backup.baseBackupId ?? '', `${diskId}.qcow2`);
  await rename(file, `${file}.away`);
  await harm(file);
  await judge(output.backup.backupId);
  await rename(`${file}.away`, file);
  await expectRestores(stack, 'mended', [{ output, moment }], ['transfer']);
}

const damagedImage = (how: string, harm: (file: string) => Promise<void>): FaultRow => ({
  name: `an image of the chain is ${how}: refused before anything changes, or a full backup with the reason`,
  on: ['cold'],
  proof: async () => {
    const lane = laneOf('cold');
    await imageHarmed(lane, harm, async (backupId) => {
      const restore = await refused(stack, () => stack.client.restoreVm({ engine: stack.engine, repository: stack.repository, backupId, method: 'transfer', name: 'of-a-broken-chain' }));
      expect(restore.codes).toEqual(['backup.chain']);
      const strictly = await refusedBackup(stack, lane.vm.id, { method: 'transfer', kind: 'incremental', strict: true });
      expect(strictly.textOf('kind.impossible')).toContain('[base.damaged]');
      await healed(lane, 'base.damaged');
    });
  },
});

const rows: readonly FaultRow[] = [
  {
    name: 'the checkpoint cannot be redefined, and all the VM\'s checkpoints are gone (event 10791)',
    on: ['live'],
    proof: async () => {
      const live = laneOf('live');
      await goesOn(live);
      expect(await healed(live, 'checkpoint.refused', [{ kind: 'redefinition-failure', vmId: live.vm.id }])).toContain('event 10791');
      expect(await eventsOf(stack, 10_791, live.vm.name)).toHaveLength(1);
      await goesOn(live, true);
    },
  },
  {
    name: 'QEMU is killed, and its bitmaps are inconsistent',
    on: ['live', 'hybrid'],
    proof: async (styles) => {
      await onLanes(styles, async (lane) => {
        const faults = await LabFaults.inject(stack, [{ kind: 'qemu-killed', vmId: lane.vm.id }]);
        await faults.release();
        expect(faults.unfired()).toEqual([]);
        await stack.lab.waitForStatus(lane.vm.id, 'down');
        await stack.lab.bring(lane.vm.id, 'up');
        await healedFromLoss(lane);
        await goesOn(lane, true);
      });
    },
  },
  {
    name: 'the host has lost the bitmaps: a live backup is refused (event 10791), of the others only the transfer finds out (event 1068)',
    on: everyStyle,
    proof: async (styles) => {
      await onLanes(styles, async (lane) => {
        expect(await healedFromLoss(lane, [{ kind: 'bitmaps-forgotten', vmId: lane.vm.id }])).toContain(lane.style === 'live' ? 'event 10791' : 'event 1068');
        await goesOn(lane, lane.style === styles[0]);
      });
    },
  },
  {
    name: 'an appliance backup in between detaches the disks, and newer engines wipe their change tracking then',
    on: ['hybrid'],
    proof: async () => {
      const hybrid = laneOf('hybrid');
      await setLab(stack, { detachWipesTracking: true });
      stack.afterwards(() => setLab(stack, { detachWipesTracking: false }));
      await stack.track(await stack.client.backupVm({ engine: stack.engine, vmId: hybrid.vm.id, repository: stack.repository, method: 'appliance' })).result();
      await setLab(stack, { detachWipesTracking: false });
      expect(await checkpointIds(stack, hybrid.vm)).toEqual([]);
      const { codes, textOf } = await refusedBackup(stack, hybrid.vm.id, { method: 'transfer', kind: 'incremental', strict: true });
      expect(codes).toEqual(['kind.impossible']);
      expect(textOf('kind.impossible')).toContain('[checkpoint.wiped]');
      await healed(hybrid, 'checkpoint.wiped');
      await goesOn(hybrid, true);
    },
  },
  damagedImage('missing', () => Promise.resolve()),
  damagedImage('altered', (file) => writeFile(file, 'no image')),
  {
    name: 'a kind that is insisted on and that no chain bears is refused with its reason',
    on: ['cold'],
    proof: async () => {
      const { vm, diskId } = laneOf('cold');
      const { error, codes, textOf } = await refusedBackup(stack, vm.id, { method: 'transfer', kind: 'differential', strict: true, leaveOutDiskIds: [diskId] });
      expect({ code: error.code, codes }).toEqual({ code: 'plan.refused', codes: ['kind.impossible'] });
      expect(textOf('kind.impossible')).toContain('[chain.no-tracking]');
    },
  },
  // Last: the disks stay.
  {
    name: 'somebody gives the VM two more disks, one of which can bear no bitmap',
    on: everyStyle,
    proof: async (styles) => {
      await onLanes(styles, async (lane) => {
        const { id: vmId } = lane.vm;
        const point = await backUpInTrouble(stack, lane, { faults: () => [{ kind: 'foreign-disk', vmId, format: 'cow' }, { kind: 'foreign-disk', vmId, format: 'raw' }] });
        const { kind, notes } = await expectSealed(stack, lane, point);
        expect({ kind, codes: notes.map(({ code }) => code).sort() }).toEqual({ kind: 'incremental', codes: ['disk.added', 'disk.no-tracking', 'disk.no-tracking'] });
        expect((await nextIsRight(stack, lane)).notes.map(({ code }) => code)).toEqual(['disk.no-tracking', 'disk.no-tracking']);
      });
    },
  },
];

const chosen = rowsToProve(rows, 2);

beforeAll(async () => {
  stack = stackOf();
  laneOf = await makeLanes(stack, everyStyle.filter((style) => chosen.some(({ on }) => on.includes(style))));
}, limitMs);
afterAll(() => setLab(stack, { detachWipesTracking: false, vmsBelow47: [] }));

test.each(chosen.map(({ on, name, proof }) => [on.join(', '), name, () => proof(on)] as const))('%s: %s', async (_styles, _name, prove) => {
  await prove();
}, limitMs);
