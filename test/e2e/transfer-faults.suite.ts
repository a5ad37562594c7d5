// What goes wrong with VM backups and image transfers in life, done to a backup of every style that it belongs to: the lab says that it happened, the
// run ends in a sealed backup that holds what QEMU showed or in a clean failure, nothing is left in the engine, and the next backup is right.
// Faults that end a chain are in transfer-chains.suite.ts.
import { LabFaults, type LabFault } from '../crash/lab-faults';
import { change } from './support/changes';
import { setLab } from './support/lab-control';
import { momentOf, transferBackup, untilHeld, type Point, type Style } from './support/moments';
import { untilTriedAgain } from './support/pending';
import { failureOf, refusedBackup } from './support/refusals';
import { useStack, type Stack } from './support/stack';
import { backUpInTrouble, everyStyle, expectSealed, makeLanes, nextIsRight, rowsToProve, type FaultRow, type Lane, type Lanes, type Trouble } from './support/style-lanes';
import { checkpointIds, eventsOf, transfersOf } from './support/vm-backups';
import { ask, until } from './support/vms';

const limitMs = 180_000;
const stackOf = useStack();
let stack: Stack;
let laneOf: Lanes;

const onLanes = <T>(styles: readonly Style[], work: (lane: Lane) => Promise<T>): Promise<readonly T[]> => Promise.all(styles.map((style) => work(laneOf(style))));

async function sealedOn(styles: readonly Style[], trouble: Trouble, alsoJudge?: (lane: Lane, point: Point) => unknown): Promise<void> {
  await onLanes(styles, async (lane) => {
    const point = await backUpInTrouble(stack, lane, trouble);
    expect((await expectSealed(stack, lane, point)).reason.code).toBe('chain.continued');
    await alsoJudge?.(lane, point);
  });
}

/** One of them is restored, too. */
async function nextAreRight(styles: readonly Style[], notes: readonly string[] = ['disk.no-tracking']): Promise<void> {
  await onLanes(styles, async (lane) => {
    const next = await nextIsRight(stack, lane, { restore: lane.style === styles[0] });
    expect({ kind: next.kind, notes: next.notes.map(({ code }) => code) }).toEqual({ kind: 'incremental', notes });
  });
}

function expectNoWarnings(_lane: Lane, { output }: Point): void {
  expect(output.warnings).toEqual([]);
}

/** One engine for all lanes: it happens when the last of them has its VM backup `ready`. */
function onceForAll(count: number, fault: LabFault): () => Promise<void> {
  let arrived = 0;
  let happened = false;
  return async () => {
    arrived += 1;
    if (arrived === count) {
      await strike(fault, () => Promise.resolve());
      happened = true;
    }
    await until('every lane is ready', () => Promise.resolve(happened));
  };
}

/** The lab has to say that it happened. */
async function strike<T>(fault: LabFault, meanwhile: () => Promise<T>): Promise<T> {
  const faults = await LabFaults.inject(stack, [fault]);
  let outcome: T;
  try {
    outcome = await meanwhile();
  } finally {
    await faults.release();
  }
  expect(faults.unfired()).toEqual([]);
  return outcome;
}

/** A disk that a running VM uses can be downloaded by nobody. */
async function whileDown({ style, vm }: Lane, work: () => Promise<void>): Promise<void> {
  if (style !== 'cold') await stack.lab.bring(vm.id, 'down');
  await work();
  if (style === 'cold') return;
  await until('the disks are free', async () => (await Promise.all(vm.disks.map(({ id }) => ask.disk(stack, id)))).every((disk) => disk?.status === 'ok'));
  await stack.lab.bring(vm.id, 'up');
}

async function expectTheirs(diskId: string): Promise<void> {
  expect((await transfersOf(stack, diskId)).filter(({ phase }) => phase === 'transferring')).toHaveLength(1);
}

const rows: readonly FaultRow[] = [
  {
    name: 'tickets are lost, transfers cancelled and paused by the system: the copy goes on through another one',
    on: everyStyle,
    proof: async (styles) => {
      await sealedOn(styles, {
        faults: ({ diskId }) => [{ kind: 'ticket-lost', diskId }, { kind: 'transfer-stopped', diskId, how: 'cancel' }, { kind: 'transfer-stopped', diskId, how: 'pause' }],
        when: 'copying',
      }, async (lane, point) => {
        expectNoWarnings(lane, point);
        expect((await transfersOf(stack, lane.diskId)).filter(({ phase }) => phase === 'finished_failure').length).toBeGreaterThanOrEqual(2);
      });
      await nextAreRight(styles);
    },
  },
  {
    name: 'the engine restarts while the VM backup is ready',
    on: everyStyle,
    proof: async (styles) => {
      await sealedOn(styles, { faults: () => [], also: onceForAll(styles.length, { kind: 'engine-restart', downSeconds: 1 }) }, expectNoWarnings);
      await nextAreRight(styles);
    },
  },
  {
    name: 'the engine restarts and takes the VM backup for nobody\'s: the run fails and takes away what that left',
    on: everyStyle,
    proof: async (styles) => {
      const restart = onceForAll(styles.length, { kind: 'engine-restart', forgetBackups: true });
      const errors = await onLanes(styles, (lane) => failureOf(backUpInTrouble(stack, lane, { faults: () => [], also: restart })));
      for (const error of errors) {
        expect(error).toMatchObject({ code: 'backup.failed', details: { leftovers: [] } });
        expect(error.message).toContain('event 10814');
      }
      await nextAreRight(styles);
    },
  },
  {
    name: 'VM backup and transfers take their time to end, and the engine forgets transfers as soon as they are over',
    on: everyStyle,
    proof: async (styles) => {
      await sealedOn(styles, {
        faults: ({ vm, diskId }) => [{ kind: 'slow-finalize', what: 'transfer', diskId, seconds: 1 }, { kind: 'slow-finalize', vmId: vm.id, seconds: 2 }, { kind: 'transfer-purged', diskId }],
      }, expectNoWarnings);
      await nextAreRight(styles);
    },
  },
  {
    name: 'the VM backup cannot be finalized: the backup is sealed, and the next one goes on from an older checkpoint, for the new one is gone',
    on: ['live', 'cold'],
    proof: async (styles) => {
      await sealedOn(styles, { faults: ({ vm }) => [{ kind: 'finalize-failure', vmId: vm.id }] }, async ({ vm }, { output: { backup } }) => {
        expect(await eventsOf(stack, 10_795, vm.name)).toHaveLength(1);
        expect(await checkpointIds(stack, vm)).not.toContain(backup.checkpointId);
      });
      await nextAreRight(styles, ['checkpoint.missing', 'disk.no-tracking']);
    },
  },
  {
    name: 'no scratch disk can be made: the run fails, and the next one is right',
    on: ['live'],
    proof: async (styles) => {
      const { vm } = laneOf('live');
      await strike({ kind: 'scratch-full', vmId: vm.id }, async () => {
        const error = await failureOf((await transferBackup(stack, vm)).result());
        expect(error).toMatchObject({ code: 'backup.failed', details: { leftovers: [] } });
        expect(error.message).toContain('event 10806');
      });
      await nextAreRight(styles);
    },
  },
  {
    name: 'a scratch disk fills up and stops the guest: what it showed is read all the same, and the run tells of the VM',
    on: ['live'],
    proof: async (styles) => {
      const { vm, diskId } = laneOf('live');
      const startedAgain = async (): Promise<void> => {
        await stack.lab.engine('POST', `/vms/${vm.id}/stop`, {});
        await stack.lab.bring(vm.id, 'up');
      };
      stack.afterwards(startedAgain);
      const fills = async (): Promise<void> => {
        await stack.lab.guest(vm.id, `(dd if=/dev/urandom of=$(disk-by-serial ${diskId}) bs=64k count=40 oflag=direct conv=notrunc) >/dev/null 2>&1 &`);
        await stack.lab.waitForStatus(vm.id, 'paused');
      };
      const trouble = { faults: () => [{ kind: 'scratch-full', vmId: vm.id, bytes: 524_288 } as const], isQuiet: true };
      for (const when of ['whileCopying', 'also'] as const) {
        await sealedOn(styles, { ...trouble, [when]: fills }, (_lane, { output }) => {
          expect(output.warnings).toEqual([expect.stringContaining(`VM ${vm.name} is paused`)]);
        });
        await startedAgain();
      }
      await nextAreRight(styles);
    },
  },
  {
    name: 'the VM goes down during the copy, or before it: the run fails at once instead of asking a QEMU that is gone',
    on: ['live'],
    proof: async (styles) => {
      const { vm } = laneOf('live');
      const startedAgain = async (): Promise<void> => stack.lab.bring(vm.id, 'up');
      stack.afterwards(startedAgain);
      // The engine lets nobody shut it down during a backup; the guest itself may.
      const goesDown = async (): Promise<void> => {
        await stack.lab.guest(vm.id, '(sleep 0.5; poweroff -f) >/dev/null 2>&1 &');
        await stack.lab.waitForStatus(vm.id, 'down');
      };
      for (const when of ['whileCopying', 'also'] as const) {
        const error = await failureOf(backUpInTrouble(stack, laneOf('live'), { faults: () => [], isQuiet: true, [when]: goesDown }));
        expect(error).toMatchObject({ code: 'backup.failed', details: { leftovers: [] } });
        expect(error.message).toContain('went down during its live backup');
        await startedAgain();
      }
      await nextAreRight(styles);
    },
  },
  {
    name: 'the engine cannot merge its snapshot at once: it is removed once more',
    on: ['hybrid'],
    proof: async (styles) => {
      await sealedOn(styles, { faults: ({ vm }) => [{ kind: 'merge-failure', vmId: vm.id }] }, async (lane, point) => {
        expectNoWarnings(lane, point);
        expect((await eventsOf(stack, 10_813, lane.vm.name)).length).toBeGreaterThan(0);
      });
      await nextAreRight(styles);
    },
  },
  {
    name: 'somebody downloads the disk: the run is refused before anything changes, and the download goes on',
    on: ['cold', 'hybrid'],
    proof: async (styles) => {
      for (const lane of styles.map(laneOf)) {
        await whileDown(lane, () => strike({ kind: 'foreign-transfer', diskId: lane.diskId }, async () => {
          expect((await refusedBackup(stack, lane.vm.id, { method: 'transfer' })).codes).toEqual(['disk.locked']);
          await expectTheirs(lane.diskId);
        }));
      }
      await nextAreRight(styles);
    },
  },
  {
    name: 'somebody begins to download the disk between planning and VM backup: the run waits for the end of it',
    on: ['cold', 'hybrid'],
    proof: async (styles) => {
      await onLanes(styles, (lane) => whileDown(lane, async () => {
        const { vm, diskId } = lane;
        await change(stack, vm);
        const handle = await strike({ kind: 'foreign-transfer', diskId, call: { method: 'GET', path: `/vms/${vm.id}/checkpoints` } }, async () => {
          const begun = await transferBackup(stack, vm);
          await begun.pause();
          expect(await untilTriedAgain(stack, begun, 'engine.locked')).toContain('is being transferred');
          await expectTheirs(diskId);
          return begun;
        });
        await untilHeld(handle);
        const moment = await momentOf(stack, vm);
        await handle.resume();
        const point = { output: await handle.result(), moment };
        expect((await expectSealed(stack, lane, point)).reason.code).toBe('chain.continued');
        expectNoWarnings(lane, point);
      }));
      await nextAreRight(styles);
    },
  },
];

const chosen = rowsToProve(rows, 2);

beforeAll(async () => {
  stack = stackOf();
  laneOf = await makeLanes(stack, everyStyle.filter((style) => chosen.some(({ on }) => on.includes(style))));
}, limitMs);
afterAll(() => setLab(stack, { vmsBelow47: [] }));

test.each(chosen.map(({ on, name, proof }) => [on.join(', '), name, () => proof(on)] as const))('%s: %s', async (_styles, _name, prove) => {
  await prove();
}, limitMs);
