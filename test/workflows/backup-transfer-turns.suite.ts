// What turns out only on the way of a backup by the method `transfer`: a chain that cannot be continued, a ticket that is gone, a host that
// disagrees, a transfer or a VM backup that does not end.
import type { BackupVmOutput } from '../../domain/flows/backup-vm';
import type { Progress } from '../../domain/flows/progress';
import type { FailureCode } from '../../domain/failures';
import { HoldfastError } from '../../domain/failures';
import { isWhole, some } from '../support/share';
import { checkpointId, vmBackupIdOf } from './answers';
import type { Options } from './backup-run';
import { Holding, until, untilCalled, type ActivityName, type Call, type Script } from './script';
import { ending, useStage } from './stage';
import { nth } from './stopped-run';
import { aliasOf, startTransferBackup, undone, type TransferBackup } from './transfer-run';

const stageOf = useStage();

const backup = (prepare?: Parameters<typeof startTransferBackup>[1], options?: Options): Promise<TransferBackup> => startTransferBackup(stageOf(), prepare, options);

/** An undo that is refused is tried again until its deadline: two tries here. */
const impatient: Options = { configured: { deadlines: { undoSeconds: 6 } } };

const first = (script: Script) => nth(1, () => script);
const firstTransfer = (script: Script) => (call: Call): boolean => script.of('ensureTransfer').indexOf(call) === 0;
/** Only while a backup since a checkpoint is tried. */
const ofIncremental = ({ input }: Call): boolean => input['baseBackupId'] !== null && input['fromCheckpointId'] !== null;

describe('an incremental backup that turns out impossible becomes a full one in the same run', () => {
  const rows: readonly { readonly what: string; readonly step: ActivityName; readonly code: FailureCode; readonly match?: (script: Script) => (call: Call) => boolean; readonly details?: { readonly eventCode: number }; readonly reason: string; readonly undone: readonly string[]; readonly warns?: boolean; readonly isLost?: boolean }[] = [
    { what: 'the engine refuses the checkpoint', step: 'ensureVmBackup', code: 'backup.incremental-refused', reason: 'checkpoint.refused', undone: ['end', 'end'] },
    { what: 'the host has no list of what changed', step: 'backupDiskByTransfer', code: 'imageio.no-changes', reason: 'checkpoint.unusable', undone: ['cancel a', 'drop', 'end', 'end'], isLost: true },
    { what: 'the transfer fails for a lost bitmap', step: 'ensureTransfer', code: 'transfer.failed', match: firstTransfer, details: { eventCode: 1068 }, reason: 'checkpoint.unusable', undone: ['cancel a', 'drop', 'end', 'end'], isLost: true },
    { what: 'the transfer fails for want of a host', step: 'ensureTransfer', code: 'transfer.failed', match: firstTransfer, details: { eventCode: 1067 }, reason: 'checkpoint.unusable', undone: ['cancel a', 'drop', 'end', 'end'] },
    { what: 'a block of the backup below has decayed', step: 'backupDiskByTransfer', code: 'digest.mismatch', reason: 'base.damaged', undone: ['cancel a', 'drop', 'end', 'end'], warns: true },
    { what: 'the chain below is broken', step: 'backupDiskByTransfer', code: 'chain.broken', reason: 'base.damaged', undone: ['cancel a', 'drop', 'end', 'end'], warns: true },
  ];

  // `npm test` takes each in one of the two ways, by the seed.
  const insisted = new Set(some(rows, 2));

  test.each(rows.filter((row) => isWhole || !insisted.has(row)))('$what', async ({ step, code, match, details, reason, undone: expected, warns = false, isLost = false }) => {
    const notes = [{ code: 'disk.resized', text: 'about the base' }, { code: 'base.failing', text: 'why not another one' }] as const;
    const run = await backup(
      (script) => {
        script.fail(step, code, match?.(script) ?? ofIncremental, details);
        script.on('planTransferBackup', async (_input, answer) => ((plan) => ({ ...plan, ...(plan.choice ? { choice: { ...plan.choice, notes } } : {}) }))(await answer()));
      },
      { request: { kind: 'incremental' } },
    );
    const end = await ending(run.handle);
    expect(end).toMatchObject({ status: 'COMPLETED', output: { notes: [notes[1]] } });
    expect(undone(run)).toEqual(expected);
    const { script } = run;
    const [lost, full] = script.of('ensureVmBackup');
    expect([lost?.input['fromCheckpointId'], full?.input['fromCheckpointId']]).toEqual([checkpointId('last'), null]);
    expect(full?.input['vmBackupKey']).not.toBe(lost?.input['vmBackupKey']);
    // The first is over, checkpoint and all, before the second begins.
    const [ended, last] = script.of('ensureVmBackupEnded');
    expect(ended).toMatchObject({ input: { vmBackupKey: lost?.input['vmBackupKey'], keepCheckpoint: false } });
    expect(full?.begunAt).toBeGreaterThan(ended?.endedAt ?? Infinity);
    expect(last).toMatchObject({ input: { vmBackupKey: full?.input['vmBackupKey'], keepCheckpoint: true } });
    expect(script.of('sealBackup').map(({ input }) => input['manifest'])).toEqual([
      expect.objectContaining({ kind: 'full', base: null, reason: { code: reason, text: expect.stringContaining(`: ${step} was told to fail [${code}]`) as string }, vmBackup: expect.objectContaining({ id: vmBackupIdOf(full?.input['vmBackupKey']) }) as unknown }),
    ]);
    for (const { input } of script.of('backupDiskByTransfer').slice(-2)) expect(input['baseBackupId']).toBeNull();
    // Nothing lies on what was before a full one.
    const removals = script.of('removeCheckpoint');
    expect(removals.map(({ input }) => input['checkpointId'])).toEqual([checkpointId('old'), checkpointId('last')]);
    // A host without their bitmaps cannot remove them without the new one; any other chain lives until there is a backup in its place.
    if (isLost) expect(removals.at(-1)?.endedAt).toBeLessThan(full?.begunAt ?? 0);
    else expect(removals[0]?.begunAt).toBeGreaterThan(script.of('sealBackup')[0]?.endedAt ?? Infinity);
    const { warnings } = end.output as BackupVmOutput;
    expect(warnings).toEqual(warns ? [expect.stringContaining(`holdfast verify ${run.base.backupId} --chain`)] : []);
    const attributes = (await run.handle.describe()).typedSearchAttributes.getAll();
    expect(attributes.find(({ key }) => key.name === 'HoldfastKind')?.value).toBe('full');
  });

  test.each([...insisted])('unless the kind is insisted on: $what', async ({ step, code, match, undone: expected }) => {
    const run = await backup((script) => script.fail(step, code, match?.(script) ?? ofIncremental), { request: { kind: 'incremental', strict: true } });
    const end = await ending(run.handle);
    expect(end).toMatchObject({ status: 'FAILED', code: code === 'digest.mismatch' ? 'chain.broken' : code });
    expect(undone(run)).toEqual(expected.slice(0, -1));
    expect(run.script.of('ensureVmBackup')).toHaveLength(1);
  });

  test('a cancel while the first one is being taken back undoes the rest of it and begins no second', async () => {
    const hold = new Holding();
    const run = await backup((script) => {
      script.fail('backupDiskByTransfer', 'imageio.no-changes', ofIncremental);
      hold.place(script, 'dropPartialBackup', (call) => script.of('dropPartialBackup').indexOf(call) === 0);
    });
    await hold.begun();
    await run.handle.cancel();
    expect((await ending(run.handle)).status).toBe('CANCELLED');
    expect(undone(run)).toEqual(['cancel a', 'drop', 'drop', 'end']);
    expect(run.script.of('ensureVmBackup')).toHaveLength(1);
  });

  test('one that fails in its turn tells what went wrong first, too', async () => {
    const run = await backup((script) => script.fail('backupDiskByTransfer', 'imageio.no-changes', ofIncremental).fail('ensureVmBackup', 'engine.conflict', (call) => script.of('ensureVmBackup').indexOf(call) === 1));
    const end = await ending(run.handle);
    expect(end).toMatchObject({ status: 'FAILED', code: 'engine.conflict', message: expect.stringMatching(/in the place of one that failed before: The host has no list of what changed.*imageio\.no-changes/) as string });
    expect(run.script.of('ensureVmBackup')).toHaveLength(2);
  });

  test('a full backup that fails in the same way fails', async () => {
    const run = await backup((script) => script.fail('ensureTransfer', 'transfer.failed'), { request: { kind: 'full' } });
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'transfer.failed' });
    expect(run.script.of('ensureVmBackup')).toHaveLength(1);
  });
});

describe('the engine decides the mode of each disk', () => {
  const modes = (a: 'full' | 'incremental', b: 'full' | 'incremental') => (script: Script) =>
    script.on('ensureVmBackup', async (input, answer) => ({ ...(await answer()), disks: input.diskIds.map((diskId, index) => ({ diskId, mode: index === 0 ? a : b })) }));

  test('one that it reads in full stands alone in the chain, and the backup says so', async () => {
    const run = await backup(modes('full', 'incremental'));
    const { output } = await ending(run.handle);
    expect(run.script.of('backupDiskByTransfer').map(({ input }) => [aliasOf(run, input['diskId']), input['baseBackupId']])).toEqual([['a', null], ['b', run.base.backupId]]);
    expect(run.script.of('sealBackup')[0]?.input).toMatchObject({ manifest: { kind: 'incremental', notes: [{ code: 'disk.engine-full' }] } });
    expect(output).toMatchObject({ notes: [{ code: 'disk.engine-full' }] });
  });

  test('all in full is a full backup, of the VM backup that there is', async () => {
    const run = await backup(modes('full', 'full'));
    await ending(run.handle);
    expect(run.script.of('ensureVmBackup')).toHaveLength(1);
    expect(run.script.of('sealBackup')[0]?.input).toMatchObject({ manifest: { kind: 'full', base: null, reason: { code: 'chain.nothing-tracked' } } });
  });

  test('all in full is no backup for whoever insists', async () => {
    const run = await backup(modes('full', 'full'), { request: { kind: 'incremental', strict: true } });
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'backup.incremental-refused' });
    expect(undone(run)).toEqual(['end']);
  });
});

describe('a ticket that is gone', () => {
  test('is replaced: the old transfer is ended, a new one asked for under another key, and the copy goes on', async () => {
    const run = await backup((script) => script.fail('backupDiskByTransfer', 'imageio.ticket-gone', (call) => script.of('backupDiskByTransfer').indexOf(call) === 0));
    const { status, output } = await ending(run.handle);
    expect(status).toBe('COMPLETED');
    const keys = run.script.of('ensureTransfer').map(({ input }) => input['transferKey']);
    expect(new Set(keys).size).toBe(3);
    expect(run.script.of('ensureTransferEnded').map(({ input }) => [input['transferKey'], input['outcome']])).toEqual([[keys[0], 'cancel'], [keys[1], 'finalize'], [keys[2], 'finalize']]);
    expect(run.script.of('backupDiskByTransfer').map(({ input }) => [input['transferId'], aliasOf(run, input['diskId'])])).toEqual([[keys[0], 'a'], [keys[1], 'a'], [keys[2], 'b']]);
    // The same source all the time: no second VM backup, and no slot is given up.
    expect(run.script.of('ensureVmBackup')).toHaveLength(1);
    expect(run.script.of('takeCopySlot')).toHaveLength(2);
    expect(output).toMatchObject({ warnings: [], leftovers: [], backup: { dataBytes: 2000 } });
  });

  test('a few times in a row with nothing moved fails the run', async () => {
    const run = await backup((script) => script.fail('backupDiskByTransfer', 'imageio.ticket-gone'));
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'imageio.ticket-gone' });
    expect(run.script.of('ensureTransfer')).toHaveLength(4);
    expect(undone(run)).toEqual(['cancel a', 'cancel a', 'cancel a', 'cancel a', 'drop', 'end']);
  });

  test('as often as it likes, as long as the copy gets on', async () => {
    let positionBytes = 0;
    const run = await backup((script, { disks: [a] }) =>
      script.on('backupDiskByTransfer', async (input, answer, call) => {
        if (input.diskId !== a?.diskId || script.of('backupDiskByTransfer').length > 6) return answer();
        positionBytes += 1024;
        await stageOf().client.workflow.getHandle(`vm/lab/${input.vmId}`).signal('copyReport', { diskId: input.diskId, positionBytes, dataBytes: 0, bytesPerSecond: 1 });
        throw new HoldfastError('imageio.ticket-gone', `gone at ${positionBytes} for the ${call.attempt}. time`);
      }),
    );
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(run.script.of('ensureTransfer')).toHaveLength(8);
  });

  test('after a pause in which the engine ended the transfer is the same', async () => {
    const hold = new Holding();
    const run = await backup((script) => {
      hold.place(script, 'backupDiskByTransfer', first(script));
      script.fail('ensureTransfer', 'transfer.failed', (call) => script.of('ensureTransfer').filter(({ input }) => input['transferKey'] === call.input['transferKey']).length > 1);
    });
    await hold.begun();
    await run.handle.signal('pause');
    await until(() => run.script.of('giveBackCopySlot').length === 1, () => 'the slot to be given back');
    hold.release();
    await run.handle.signal('resume');
    expect((await ending(run.handle)).status).toBe('COMPLETED');
    expect(run.script.of('ensureTransfer')).toHaveLength(4);
    expect(undone(run)).toEqual(['cancel a', 'end']);
    expect(run.script.of('ensureVmBackup')).toHaveLength(1);
  });

  test('a pause keeps what is copied: only the witness is asked again', async () => {
    const hold = new Holding();
    const run = await backup((script) => hold.place(script, 'witnessTransfer', first(script)), { request: { witness: 'always' } });
    await hold.begun();
    await run.handle.signal('pause');
    await until(() => run.script.of('giveBackCopySlot').length === 1, () => 'the slot to be given back');
    hold.release();
    await run.handle.signal('resume');
    const { output } = await ending(run.handle);
    expect(output).toMatchObject({ witnessedDiskIds: run.world.disks.map(({ diskId }) => diskId) });
    expect(run.script.of('backupDiskByTransfer').map(({ input }) => aliasOf(run, input['diskId']))).toEqual(['a', 'b']);
    expect(run.script.of('witnessTransfer')).toHaveLength(3);
  });
});

describe('the witness', () => {
  test('that disagrees ends the backup before the seal, and no full one is made instead', async () => {
    const run = await backup((script) => script.fail('witnessTransfer', 'digest.mismatch'), { request: { witness: 'always' } });
    expect(await ending(run.handle)).toMatchObject({ status: 'FAILED', code: 'digest.mismatch' });
    expect(run.script.of('sealBackup')).toEqual([]);
    expect(undone(run)).toEqual(['cancel a', 'drop', 'end']);
  });

  test('that cannot is a warning', async () => {
    const run = await backup((script) => script.fail('witnessTransfer', 'imageio.refused'), { request: { witness: 'always' } });
    const { status, output } = await ending(run.handle);
    expect(status).toBe('COMPLETED');
    expect(output).toMatchObject({ witnessedDiskIds: [], warnings: [expect.stringContaining('could not bear witness for disk a'), expect.stringContaining('disk b')] });
    expect(run.script.of('sealBackup')[0]?.input).toMatchObject({ disks: [{ witnessed: false }, { witnessed: false }] });
  });

  const answers = [
    ['never', { request: { witness: 'never' } }, 0],
    ['always', { request: { witness: 'always' } }, 2],
    ['every second one, after one that was', { request: { witness: { every: 2 } } }, 0],
    ['every one', { request: { witness: { every: 1 } } }, 2],
    ['by the configuration', { configured: { settings: { witness: 'always' } } }, 2],
    ['by default every 7th', {}, 0],
  ] as const satisfies readonly (readonly [string, Options, number])[];

  test.each(some(answers, 3))('is asked %s', async (_, options, asked) => {
    const run = await backup(undefined, options);
    await ending(run.handle);
    expect(run.script.of('witnessTransfer')).toHaveLength(asked);
  });
});

describe('what does not end', () => {
  test('a transfer after its copy costs nothing when the end succeeds after the seal', async () => {
    const run = await backup((script) => script.fail('ensureTransferEnded', 'engine.conflict', ({ input }) => input['outcome'] === 'finalize'));
    const { status, output } = await ending(run.handle);
    expect(status).toBe('COMPLETED');
    expect(output).toMatchObject({ warnings: [], leftovers: [] });
    expect(undone(run)).toEqual(['cancel b', 'cancel a', 'end']);
    expect(run.script.of('sealBackup')[0]?.endedAt).toBeLessThan(run.script.of('ensureTransferEnded').at(-1)?.begunAt ?? 0);
  });

  test('a guest that was stopped meanwhile, by a scratch disk that is full, is a warning', async () => {
    const run = await backup((script) => script.on('ensureVmBackupEnded', () => Promise.resolve({ vmIsPaused: true })));
    expect((await ending(run.handle)).output).toMatchObject({ warnings: [expect.stringMatching(/^VM demo is paused since the backup.*scratch disks.*run the VM again$/)], leftovers: [] });
  });

  test('a VM backup after the seal is a warning with a leftover; no checkpoint is touched then', async () => {
    const run = await backup((script) => script.fail('ensureVmBackupEnded', 'engine.conflict'), impatient);
    const { status, output } = await ending(run.handle);
    expect(status).toBe('COMPLETED');
    const { leftovers, warnings, backup: sealed } = output as BackupVmOutput;
    expect(leftovers).toEqual([{ kind: 'vm-backup', mark: `Holdfast backup ${sealed.backupId}`, reason: expect.stringContaining('[engine.conflict]') as string }]);
    expect(warnings).toEqual([expect.stringContaining('left behind: vm-backup')]);
    expect(run.script.of('removeCheckpoint')).toEqual([]);
  });

  test('a backup without a checkpoint of its own leaves those of the earlier ones', async () => {
    const run = await backup((script) => script.on('ensureVmBackup', async (_input, answer) => ({ ...(await answer()), checkpointId: null })));
    expect(await ending(run.handle)).toMatchObject({ status: 'COMPLETED', output: { warnings: [] } });
    expect(run.script.of('removeCheckpoint')).toEqual([]);
  });

  test('a checkpoint that does not go is a warning, and the others go', async () => {
    const others = [checkpointId('old'), checkpointId('last')];
    const run = await backup((script) => {
      script.on('planTransferBackup', async (_input, answer) => ((plan) => ({ ...plan, ...(plan.choice ? { choice: { ...plan.choice, removableCheckpointIds: others } } : {}) }))(await answer()));
      script.fail('removeCheckpoint', 'engine.conflict', ({ input }) => input['checkpointId'] === others[0]);
    });
    const { status, output } = await ending(run.handle);
    expect(status).toBe('COMPLETED');
    expect(run.script.of('removeCheckpoint').map(({ input, outcome }) => [input['checkpointId'], outcome])).toEqual([[others[0], 'failed'], [others[1], 'completed']]);
    expect(output).toMatchObject({ leftovers: [], warnings: [expect.stringContaining(`checkpoint ${String(others[0])}`)] });
  });

  test('a transfer that cannot be undone is a leftover with the mark of its holding', async () => {
    const run = await backup((script) => script.fail('backupDiskByTransfer', 'repository.full').fail('ensureTransferEnded', 'engine.foreign'), impatient);
    const end = await ending(run.handle);
    const [asked] = run.script.of('ensureTransfer');
    expect(end).toMatchObject({ status: 'FAILED', code: 'repository.full', details: { leftovers: [{ kind: 'transfer', mark: `transfer of disk ${String(asked?.input['diskId'])} ${String(asked?.input['transferKey'])}` }] } });
  });
});

test('operators read why the backup is of its kind, while it runs and when it has ended', async () => {
  const hold = new Holding();
  const run = await backup((script) => hold.place(script, 'backupDiskByTransfer', first(script)));
  await untilCalled(run.script, 'backupDiskByTransfer');
  expect(await run.handle.query<Progress>('progress')).toMatchObject({ phase: 'copy', notes: [{ code: 'chain.continued', text: 'It continues a chain.' }] });
  hold.release();
  await ending(run.handle);
  const attributes = Object.fromEntries((await run.handle.describe()).typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
  expect(attributes).toMatchObject({ HoldfastMethod: 'transfer', HoldfastKind: 'incremental', HoldfastPhase: 'done' });
});
