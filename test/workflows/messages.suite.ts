// What a running backup is told and tells: pause, resume, bandwidth, reports of its copies, progress; and how several disks are copied at once.
import { WorkflowUpdateFailedError } from '@temporalio/client';
import type { Bandwidth, CopyReport, Progress } from '../../domain/flows/progress';
import { HoldfastError } from '../../domain/failures';
import { disk } from './answers';
import { startBackup, type Backup, type Options } from './backup-run';
import { failWhenCancelled, heartbeatUntil, Holding, type Script, signal, until, untilCalled } from './script';
import { ending, useStage } from './stage';

const stageOf = useStage();

const backup = (prepare: Parameters<typeof startBackup>[1], request: NonNullable<Options['request']> = {}, configured: NonNullable<Options['configured']> = {}): Promise<Backup> => startBackup(stageOf(), prepare, { request, configured });

const progressOf = ({ handle }: Backup): Promise<Progress> => handle.query<Progress>('progress');
const copies = ({ script }: Backup): ReturnType<Script['of']> => script.of('backupDisk');
/** The operators' page, as the Temporal UI asks for it. */
const detailsOf = async ({ handle }: Backup): Promise<string> => (await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata')).currentDetails ?? '';
/** The run's row in the UI's list. */
const lineOf = async ({ handle }: Backup): Promise<unknown> => (await handle.describe()).typedSearchAttributes.getAll().find(({ key }) => key.name === 'HoldfastProgress')?.value;
const firstCopy = (of: () => Script) => (call: { readonly activity: string }): boolean => of().of('backupDisk').indexOf(call as never) === 0;

/** A backup that is in the middle of its first copy; a second attempt goes through. */
async function copying(request?: Readonly<Record<string, unknown>>): Promise<Backup> {
  const hold = new Holding();
  const run = await backup((script) => hold.place(script, 'backupDisk', firstCopy(() => script)), request);
  await hold.begun();
  return run;
}

describe('pause and resume', () => {
  test('pause cancels the copy\'s attempt; nothing is copied until resume starts a new one', async () => {
    const run = await copying();
    await run.handle.signal('pause');
    await until(() => copies(run)[0]?.outcome === 'cancelled', () => 'the copy to stop');
    await run.handle.signal('pause');
    expect(await progressOf(run)).toMatchObject({ paused: true, phase: 'copy' });
    expect(await detailsOf(run)).toMatch(/\*\*demo\*\*: backup, \*\*paused\*\*, phase \*\*copying\*\*/);
    expect(await lineOf(run)).toBe('paused at 0 %');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(copies(run)).toHaveLength(1);
    await run.handle.signal('resume');
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(copies(run).map((call) => call.outcome)).toEqual(['cancelled', 'completed']);
    expect(await progressOf(run)).toMatchObject({ paused: false, phase: 'done' });
  });

  test('a copy that answers the pause with a failure is paused all the same', async () => {
    const run = await backup((script) => script.on('backupDisk', failWhenCancelled, firstCopy(() => script)));
    await untilCalled(run.script, 'backupDisk');
    await run.handle.signal('pause');
    await until(() => copies(run)[0]?.outcome === 'failed', () => 'the copy to fail');
    await run.handle.signal('resume');
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(copies(run)).toHaveLength(2);
  });

  test('a paused run can be cancelled', async () => {
    const run = await copying();
    await run.handle.signal('pause');
    await until(() => copies(run)[0]?.outcome === 'cancelled', () => 'the copy to stop');
    await run.handle.cancel();
    expect((await ending(run.handle)).status).toBe('CANCELLED');
    expect(run.script.of('detachDisk', 'dropPartialBackup', 'ensureSnapshotGone').map((call) => call.activity)).toEqual(['detachDisk', 'dropPartialBackup', 'ensureSnapshotGone']);
  });

  test('a pause before the copy holds it back from its beginning', async () => {
    const hold = new Holding();
    const run = await backup((script) => hold.place(script, 'ensureSnapshot'));
    await hold.begun();
    await run.handle.signal('pause');
    hold.release();
    await until(async () => (await progressOf(run)).phase === 'copy', () => 'the phase copy');
    expect(copies(run)).toEqual([]);
    await run.handle.signal('resume');
    expect((await ending(run.handle)).status).toBe('COMPLETED');
  });
});

describe('setBandwidth', () => {
  const set = ({ handle }: Backup, bytesPerSecond: unknown): Promise<Bandwidth> => handle.executeUpdate<Bandwidth, [unknown]>('setBandwidth', { args: [{ bytesPerSecond }] });

  test('starts the copy again with the new limit, or without one', async () => {
    const hold = new Holding();
    const run = await backup((script) => hold.place(script, 'backupDisk', (call) => script.of('backupDisk').indexOf(call) < 2), { bandwidthBytesPerSecond: 1_000_000 });
    await hold.begun();
    expect(copies(run)[0]?.input).toMatchObject({ bandwidthBytesPerSecond: 1_000_000 });
    expect(await set(run, 2_000_000)).toEqual({ bytesPerSecond: 2_000_000 });
    await untilCalled(run.script, 'backupDisk', 2);
    expect(copies(run)[1]?.input).toMatchObject({ bandwidthBytesPerSecond: 2_000_000 });
    expect(await detailsOf(run)).toContain('at most 1.9 MiB/s a disk');
    await set(run, null);
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(copies(run)[2]?.input).not.toHaveProperty('bandwidthBytesPerSecond');
    expect(copies(run).map((call) => call.outcome)).toEqual(['cancelled', 'cancelled', 'completed']);
  });

  test('what is no bandwidth is refused at once and disturbs nothing', async () => {
    const hold = new Holding();
    const run = await backup((script) => hold.place(script, 'backupDisk'));
    await hold.begun();
    for (const bytesPerSecond of [1000, 0, -1, 1.5, 'fast', undefined]) await expect(set(run, bytesPerSecond)).rejects.toBeInstanceOf(WorkflowUpdateFailedError);
    expect((await progressOf(run)).bandwidthBytesPerSecond).toBeNull();
    hold.release();
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(copies(run).map((call) => call.outcome)).toEqual(['completed']);
  });
});

describe('reports of a copy', () => {
  const figures = { positionBytes: 32 * 1024 * 1024, dataBytes: 5_000_000, bytesPerSecond: 3 * 1024 * 1024 };

  test('move the progress and the operators\' page', async () => {
    const run = await copying();
    const [{ diskId } = disk('none')] = run.world.disks;
    await run.handle.signal<[CopyReport]>('copyReport', { diskId, ...figures });
    expect(await progressOf(run)).toMatchObject({ vmName: 'demo', disks: [{ diskId, alias: 'a', state: 'copying', ...figures }] });
    expect(await detailsOf(run)).toMatch(/^\*\*demo\*\*: backup, \*\*copying\*\* · \*\*50 %\*\* of 64\.0 MiB · 3\.0 MiB\/s · about [^]*\| a \| copying \| 50 % \| 64\.0 MiB \| 4\.8 MiB \| 3\.0 MiB\/s \|/);
    expect(await lineOf(run)).toMatch(/^copy 50 %, 3\.0 MiB\/s, about .* left$/);
    await run.handle.cancel();
    await ending(run.handle);
  });

  test('that make no sense, or come when the disk is done, change nothing and stop nothing', async () => {
    const hold = new Holding();
    const run = await backup((script) => hold.place(script, 'sealBackup'));
    await hold.begun();
    const [{ diskId } = disk('none')] = run.world.disks;
    for (const report of [undefined, null, 7, {}, { diskId }, { diskId: 'x', ...figures }, { diskId, ...figures }]) await run.handle.signal('copyReport', report);
    expect(await progressOf(run)).toMatchObject({ phase: 'seal', disks: [{ state: 'done', positionBytes: 64 * 1024 * 1024, dataBytes: 1000, bytesPerSecond: 0 }] });
    hold.release();
    expect((await ending(run.handle)).status).toBe('COMPLETED');
  });
});

test('progress is still answered when the run has ended', async () => {
  const run = await backup(() => undefined);
  await ending(run.handle);
  expect(await progressOf(run)).toMatchObject({ vmId: run.world.vmId, phase: 'done', warnings: [], leftovers: [], disks: [{ state: 'done', positionBytes: 64 * 1024 * 1024, dataBytes: 1000 }] });
});

describe('several disks', () => {
  const disks = [disk('a'), disk('b'), disk('c')];
  const idOf = (index: number): unknown => disks[index]?.diskId;

  test.each([1, 2])('are copied %i at a time', async (disksAtOnce) => {
    const hold = new Holding();
    const run = await backup((script) => hold.place(script, 'backupDisk'), {}, { disks, settings: { disksAtOnce } });
    await untilCalled(run.script, 'backupDisk', disksAtOnce);
    await new Promise((resolve) => setTimeout(resolve, 300));
    // Which of them a worker takes first is Temporal's business.
    expect(new Set(copies(run).map((call) => call.input['diskId']))).toEqual(new Set(disks.slice(0, disksAtOnce).map((each) => each.diskId)));
    hold.release();
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(copies(run)).toHaveLength(3);
  });

  test('one that fails has the other cancelled and waited for before anything is undone; the third never begins', async () => {
    const bothCopy = signal();
    const run = await backup(
      (script) => {
        script.on('backupDisk', async () => {
          await bothCopy.fired;
          await heartbeatUntil(new Promise((resolve) => setTimeout(resolve, 200)));
          throw new HoldfastError('device.changed', 'the device changed');
        }, (call) => call.input['diskId'] === idOf(0));
        script.on('backupDisk', async () => {
          bothCopy.fire();
          try {
            await heartbeatUntil(new Promise(() => undefined));
          } finally {
            // Closing image and device takes its time: the undo must not begin meanwhile.
            await new Promise((resolve) => setTimeout(resolve, 700));
          }
          throw new Error('unreachable');
        }, (call) => call.input['diskId'] === idOf(1));
      },
      {},
      { disks, settings: { disksAtOnce: 2 } },
    );
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'device.changed' });
    const outcomes = new Map(copies(run).map((call) => [call.input['diskId'], call.outcome]));
    expect(outcomes).toEqual(new Map([[idOf(0), 'failed'], [idOf(1), 'cancelled']]));
    const over = copies(run).find((call) => call.outcome === 'cancelled')?.endedAt ?? Infinity;
    const undos = run.script.of('detachDisk', 'dropPartialBackup', 'ensureSnapshotGone');
    expect(undos).toHaveLength(5);
    for (const undo of undos) expect(undo.begunAt).toBeGreaterThan(over);
  });

  test('are all stopped by a pause and all go on', async () => {
    const hold = new Holding();
    const run = await backup((script) => hold.place(script, 'backupDisk', (call) => script.of('backupDisk').indexOf(call) < 2), {}, { disks, settings: { disksAtOnce: 2 } });
    await untilCalled(run.script, 'backupDisk', 2);
    await run.handle.signal('pause');
    await until(() => copies(run).every((call) => call.outcome === 'cancelled'), () => 'both copies to stop');
    await run.handle.signal('resume');
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(copies(run).map((call) => call.outcome)).toEqual(['cancelled', 'cancelled', 'completed', 'completed', 'completed']);
  });
});
