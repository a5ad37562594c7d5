// The command end to end: a real Temporal, stand-in flows, the real `main`. What each command prints, and how it exits.
import { HoldfastClient } from '../../client';
import { runCli, startCli, startStandIns, until } from './harness';
import type { CliOptions, CliRun, RunningCli, StandIns } from './harness';
import { estate, vmNamed } from './stand-ins/estate';

let standIns: StandIns;
let client: HoldfastClient;
let environment: Readonly<Record<string, string>>;

beforeAll(async () => {
  standIns = await startStandIns();
  const { address } = standIns.temporal;
  environment = { HOLDFAST_TEMPORAL_ADDRESS: address, HOLDFAST_TEMPORAL_UI: 'http://ui.test', HOLDFAST_ENGINE: 'lab', HOLDFAST_REPOSITORY: 'main' };
  client = await HoldfastClient.connect({ address });
}, 180_000);

afterAll(async () => {
  await client.close();
  await standIns.stop();
}, 60_000);

const cli = (command: string, options: CliOptions = {}): Promise<CliRun> => runCli(command.split(' '), { environment, ...options });
const start = (command: string, options: CliOptions = {}): RunningCli => startCli(command.split(' '), { environment, ...options });
const json = (run: CliRun): Record<string, unknown> => JSON.parse(run.out) as Record<string, unknown>;

/** Starts the VM whose run lasts until it is cancelled, and hands over its workflow id; cancels it afterwards. */
async function withSlowRun(work: (workflowId: string) => Promise<void>): Promise<void> {
  const handle = await client.backupVm({ engine: 'lab', vmId: vmNamed('slow'), repository: 'main' });
  try {
    await work(handle.workflowId);
  } finally {
    await handle.cancel().catch(() => undefined);
    await handle.result().catch(() => undefined);
  }
}

describe('backup vm', () => {
  test('finds the VM by name, watches, and reports in plain lines when stdout is no terminal', async () => {
    const run = await cli('backup vm demo');
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toContain(`Started backupVm vm/lab/${vmNamed('demo')}\n  http://ui.test/namespaces/default/workflows/vm%2Flab%2F${vmNamed('demo')}/`);
    expect(run.out).toMatch(/^demo: copy: \d+% of 4\.0 GiB, 200\.0 MiB\/s/m);
    expect(run.out).toContain(`Backed up demo as ${estate.backupId}.`);
    expect(run.out).toMatch(/^ {2}took +1\.6 s, 200\.0 MiB\/s$/m);
    expect(run.out).toContain('warning: the snapshot took long');
    expect(run.out).not.toContain('\u001b');
  });

  test('draws bars and moves the cursor on a terminal', async () => {
    const run = await cli('backup vm demo', { isTerminal: true });
    expect(run.code).toBe(0);
    expect(run.out).toMatch(/demo_Disk1 {2}\[#*-+\] +\d+% {2}copying {2}200\.0 MiB\/s/);
    expect(run.out).toContain('\u001b[2A\r\u001b[0J');
  });

  test('--json prints one document with the result', async () => {
    const run = await cli('backup vm demo --json');
    expect(run.code).toBe(0);
    expect(json(run)).toMatchObject({ workflowId: `vm/lab/${vmNamed('demo')}`, outcome: 'completed', result: { runId: estate.runId, backup: { backupId: estate.backupId } } });
  });

  test('--no-wait starts only', async () => {
    const run = await cli('backup vm demo --no-wait --json');
    expect(run.code).toBe(0);
    expect(json(run)).toMatchObject({ workflowId: `vm/lab/${vmNamed('demo')}`, outcome: 'started' });
    await (await client.attach(`vm/lab/${vmNamed('demo')}`)).result();
  });

  test('a refusal lists every reason once and exits with 3', async () => {
    const run = await cli('backup vm refused');
    expect(run.code).toBe(3);
    expect(run.err).toContain('for 2 reasons:');
    expect(run.err.match(/Disk data1 is locked: wait for its task\./g)).toHaveLength(1);
    expect(run.err.match(/Appliance app1 is down: start it\./g)).toHaveLength(1);
    expect(run.err).toContain('what to do: Remove every listed reason, then start again.');
  });

  test('a refusal as JSON has the reasons with their codes', async () => {
    const run = await cli('backup vm refused --json');
    expect(json(run)).toMatchObject({ error: { code: 'plan.refused', exitCode: 3, workflowId: `vm/lab/${vmNamed('refused')}`, reasons: [{ code: 'disk.locked' }, { code: 'appliance.down' }] } });
  });

  test('a failed run exits with 1 and says what was undone, what is left and what to do', async () => {
    const run = await cli('backup vm broken');
    expect(run.code).toBe(1);
    expect(run.err).toContain('error: Repository main has 1.0 GiB free, disk broken_Disk1 needs more. [repository.full]');
    expect(run.err).toContain('undone, newest first:\n  - detach disk broken_Disk1 from the appliance\n  - drop the partial backup\n');
    expect(run.err).toMatch(/left behind .*\n {2}- snapshot 99999999-0000-4000-8000-999999999999 \("Holdfast backup .*"\): the merge did not finish/);
    expect(run.err).toContain('what to do: Free or add space');
  });

  test('a second run of the same VM is refused with 7 and names the first', async () => {
    await withSlowRun(async (workflowId) => {
      const run = await cli('backup vm slow');
      expect(run.code).toBe(7);
      expect(run.err).toContain(`This VM has an open run: ${workflowId} (backupVm since `);
      expect(run.err).toContain(`holdfast cancel ${workflowId}`);
    });
  });

  test('an unknown VM exits with 6, one of several by a name with 2', async () => {
    expect(await cli('backup vm nobody')).toMatchObject({ code: 6, err: expect.stringContaining('has no VM "nobody"') as string });
    const twins = await cli('backup vm twin');
    expect(twins.code).toBe(2);
    expect(twins.err).toContain('has 2 VMs "twin" (55555555-0000-4000-8000-555555555555, 66666666-0000-4000-8000-666666666666)');
  });

  test('invalid input names each field, exits with 2, and starts nothing', async () => {
    const run = await cli('backup vm demo --quiesce always --leave-out data1 --bandwidth 1K');
    expect(run.code).toBe(2);
    expect(run.err).toMatch(/quiesce: .*; it is "always"/);
    expect(run.err).toMatch(/leaveOutDiskIds\.0: must be a UUID in lower case; it is "data1"/);
    expect(run.err).toMatch(/bandwidthBytesPerSecond: .*; it is 1024/);
  });

  test('without an engine it says how to name one', async () => {
    const run = await cli('backup vm demo', { environment: { ...environment, HOLDFAST_ENGINE: '' } });
    expect(run).toMatchObject({ code: 2, err: expect.stringContaining('--engine or HOLDFAST_ENGINE') as string });
  });
});

describe('Ctrl-C', () => {
  test('ends the watching and not the run, and says how to go on', async () => {
    const watching = start('backup vm slow');
    await until('progress is shown', () => watching.out().includes('slow: copy'));
    watching.interrupt();
    const run = await watching.ended;
    const workflowId = `vm/lab/${vmNamed('slow')}`;
    expect(run.code).toBe(130);
    expect(run.err).toContain(`The run goes on in Temporal: ${workflowId}`);
    const handle = await client.attach(workflowId);
    expect((await handle.status()).status).toBe('RUNNING');

    const cancelled = await cli(`cancel ${workflowId}`);
    expect(cancelled).toMatchObject({ code: 0, out: `${workflowId}: cancelled\n  undone: remove the snapshot\n` });
  });
});

describe('cancel, pause, resume, bandwidth', () => {
  test('a watched run that somebody cancels exits with 4 and says what was undone', async () => {
    const watching = start('backup vm slow');
    await until('progress is shown', () => watching.out().includes('slow: copy'));
    expect(await cli('cancel slow --no-wait')).toMatchObject({ code: 0 });
    const run = await watching.ended;
    expect(run.code).toBe(4);
    expect(run.err).toContain('was cancelled');
    expect(run.err).toContain('undone, newest first:\n  - remove the snapshot');
  });

  test('reach the run by VM name and by workflow id', async () => {
    await withSlowRun(async (workflowId) => {
      const handle = await client.attach(workflowId);
      expect(await cli('pause slow')).toMatchObject({ code: 0, out: `${workflowId}: paused\n` });
      expect((await handle.progress()).paused).toBe(true);
      expect(await cli(`resume ${workflowId} --json`)).toMatchObject({ code: 0 });
      expect((await handle.progress()).paused).toBe(false);
      expect(await cli('bandwidth slow 50MiB')).toMatchObject({ code: 0, out: `${workflowId}: at most 50.0 MiB/s per disk\n` });
      expect((await handle.progress()).bandwidthBytesPerSecond).toBe(50 * 1024 ** 2);
      expect(await cli('bandwidth slow off')).toMatchObject({ code: 0 });
      expect((await handle.progress()).bandwidthBytesPerSecond).toBeNull();
      expect(await cli('bandwidth slow 1K')).toMatchObject({ code: 2, err: expect.stringContaining('bytesPerSecond') as string });
      expect(await cli('bandwidth slow fast')).toMatchObject({ code: 2, err: expect.stringContaining('Give a size such as 50MiB') as string });
    });
  });

  test('the id of an ended run never reaches a newer run of the same VM', async () => {
    await withSlowRun(async (workflowId) => {
      const run = await cli(`cancel ${estate.endedRunId}`);
      expect(run.code).toBe(6);
      expect(run.err).toContain(`Run ${estate.endedRunId} has ended (failed`);
      expect((await (await client.attach(workflowId)).status()).status).toBe('RUNNING');
    });
  });

  test('an ended run cannot be cancelled: 6', async () => {
    await (await client.backupVm({ engine: 'lab', vmId: vmNamed('demo'), repository: 'main' })).result();
    expect(await cli(`cancel vm/lab/${vmNamed('demo')}`)).toMatchObject({ code: 6 });
    expect(await cli('cancel vm/lab/nobody')).toMatchObject({ code: 6, err: expect.stringContaining('vm/lab/nobody') as string });
  });
});

describe('restore vm', () => {
  test('takes engine and repository from the catalog, and says what was proved', async () => {
    const run = await cli(`restore vm ${estate.backupId} --name demo-restored --start`, { environment: { HOLDFAST_TEMPORAL_ADDRESS: environment['HOLDFAST_TEMPORAL_ADDRESS'] ?? '' } });
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toContain(`Restored demo-restored (VM ${estate.createdVmId}) from backup ${estate.backupId} and started it.`);
    expect(run.out).toContain('proved by re-reading: abababababababab…');
  });

  test('a request id works once for ever: 7', async () => {
    const command = `restore vm ${estate.backupId} --name again --request-id 77777777-0000-4000-8000-777777777777`;
    expect((await cli(command)).code).toBe(0);
    const second = await cli(command);
    expect(second.code).toBe(7);
    expect(second.err).toContain('A request id is unique for ever');
  });

  test('as the original it takes the VM from the catalog and its lock; --replace tells which old disks stay', async () => {
    const original = await cli(`restore vm ${estate.backupId} --original --json`);
    expect(json(original)).toMatchObject({ workflowId: `vm/lab/${vmNamed('demo')}`, outcome: 'completed', result: { vmId: vmNamed('demo') } });
    const replaced = await cli(`restore vm ${estate.backupId} --replace --name demo --vm ${vmNamed('slow')} --engine lab --repository main`);
    expect(replaced.out).toContain(`Started restoreVm vm/lab/${vmNamed('slow')}`);
    expect(replaced.out).toMatch(/old disks that stay +added later \(.*\): not among the disks that were restored/);
    // The lock is free again: a VM may be restored as often as one likes.
    expect((await cli(`restore vm ${estate.backupId} --original`)).code).toBe(0);
  });

  test('while the VM has a run, it is not restored: 7', async () => {
    await withSlowRun(async (workflowId) => {
      const run = await cli(`restore vm ${estate.backupId} --replace --vm ${vmNamed('slow')} --engine lab --repository main`);
      expect(run).toMatchObject({ code: 7, err: expect.stringContaining(`This VM has an open run: ${workflowId}`) as string });
    });
  });

  test('every flag reaches the request', async () => {
    const flags = `--name all --cluster Second --disk ${estate.diskId} --storage-domain data-2 --storage-domain-map data-1=data-2 --disk-storage-domain ${estate.diskId}=data-1 --network ovirtmgmt=lab/x=y --network dmz=none --macs keep --mac nic1=56:6F:00:00:00:01 --method transfer`;
    const run = await cli(`restore vm ${estate.backupId} ${flags} --no-wait --json`);
    const { workflowId } = json(run) as { workflowId: string };
    const history = await client.temporal.workflow.getHandle(workflowId).fetchHistory();
    const [payload] = history.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    expect(JSON.parse(Buffer.from(payload?.data ?? []).toString())).toMatchObject({
      as: 'new', name: 'all', method: 'transfer', cluster: 'Second', diskIds: [estate.diskId], storageDomain: 'data-2', storageDomainMap: [{ from: 'data-1', to: 'data-2' }], storageDomainOfDisk: [{ diskId: estate.diskId, storageDomain: 'data-1' }],
      networks: [{ from: 'ovirtmgmt=lab/x', to: 'y' }, { from: 'dmz', to: null }], macs: 'keep', macOfNic: [{ nic: 'nic1', mac: '56:6f:00:00:00:01' }],
    });
  });

  test('several at once are several runs, and end with the worst of their codes', async () => {
    const unknown = '88888888-0000-4000-8000-888888888888';
    const two = await cli(`restore vm ${estate.backupId} ${estate.backupId} --name one --name two`);
    expect(two).toMatchObject({ code: 0, err: '' });
    for (const name of ['one', 'two']) expect(two.out).toContain(`Restored ${name} (VM `);
    const mixed = await cli(`restore vm ${estate.backupId} ${unknown} --name three --name four --engine lab --repository main --json`);
    expect(mixed.code).toBe(6);
    expect(json(mixed)).toMatchObject({ runs: [{ outcome: 'completed', result: { vmName: 'three' } }, { outcome: 'failed', error: { code: 'backup.not-found' } }] });
  });

  test('an unknown backup exits with 6, with and without the catalog\'s help', async () => {
    const unknown = '88888888-0000-4000-8000-888888888888';
    expect(await cli(`restore vm ${unknown} --name x --engine lab --repository main`)).toMatchObject({ code: 6, err: expect.stringContaining('backup.not-found') as string });
    const bare = { HOLDFAST_TEMPORAL_ADDRESS: environment['HOLDFAST_TEMPORAL_ADDRESS'] ?? '' };
    expect(await cli(`restore vm ${unknown} --name x`, { environment: bare })).toMatchObject({ code: 6, err: expect.stringContaining('rebuild the catalog') as string });
  });
});

describe('list and show', () => {
  test('tables are aligned, pages are told', async () => {
    expect(await cli('list vms --limit 2')).toMatchObject({
      code: 0,
      out: `NAME  STATUS  CLUSTER  ID\ndemo  up      Default  ${vmNamed('demo')}\nslow  up      Default  ${vmNamed('slow')}\nThere are more: --offset 2\n`,
    });
    expect(await cli('list vms --offset 5')).toMatchObject({ out: expect.not.stringContaining('demo') as string });
  });

  test('backups and runs', async () => {
    const backups = await cli('list backups --vm demo');
    expect(backups.out).toMatch(/^2026-11-20 10:00:00 UTC {2}demo {2}lab +full {2}filesystem +2026-11-21 +4\.0 GiB {2}301\.0 MiB {2}main/m);
    expect(json(await cli('list backups --vm nobody --json'))).toEqual({ backups: [], more: false });
    expect((await cli('list runs --outcome failed')).out).toMatch(/backupVm {2}slow {2}failed +snapshot\.failed +1 {2}dddddddd-/);
    expect(await cli('list runs --outcome odd')).toMatchObject({ code: 2, err: expect.stringContaining('outcome') as string });
  });

  test('show tells a backup, a run of the catalog, and a run of Temporal apart', async () => {
    const { out } = await cli(`show ${estate.backupId}`);
    expect(out).toMatch(/^Backup bbbbbbbb.*\n {2}vm +demo/);
    expect(out).toMatch(/^ {2}kind +full, appliance\n {2}why +the method "appliance" reads whole disks, so every backup is a full one \[method\.full-only\]$/m);
    expect(out).toMatch(/^ {2}verified +passed at 2026-11-21 03:00:00 UTC$/m);
    expect(json(await cli(`show ${estate.backupId} --json`))).toMatchObject({ kind: 'backup', backup: { vmName: 'demo' } });
    expect((await cli(`show ${estate.endedRunId}`)).out).toContain('The engine gave up on the snapshot. [snapshot.failed]');
    await withSlowRun(async (workflowId) => {
      const running = await cli(`show ${workflowId}`);
      expect(running.out).toMatch(/state +running/);
      expect(running.out).toContain('slow: copy');
      expect(json(await cli(`show ${workflowId} --json`))).toMatchObject({ kind: 'run', status: { status: 'RUNNING', pickedUp: true }, progress: { phase: 'copy' } });
    });
    expect((await cli('show slow')).out).toMatch(/state +cancelled[\s\S]*undone: remove the snapshot/);
    expect((await cli('show 12121212-0000-4000-8000-121212121212')).code).toBe(6);
  });

  test('show --watch follows a run to its end and exits as the run did', async () => {
    const handle = await client.backupVm({ engine: 'lab', vmId: vmNamed('slow'), repository: 'main' });
    const watching = start(`show ${handle.workflowId} --watch`);
    await until('progress is shown', () => watching.out().includes('slow: copy'));
    await handle.cancel();
    expect((await watching.ended).code).toBe(4);
  });
});

describe('catalog rebuild', () => {
  test('tells the figures and the unreadable', async () => {
    const run = await cli('catalog rebuild');
    expect(run).toMatchObject({ code: 0, out: 'The catalog now has 7 backups of main; 1 rows without a sealed backup were removed.\nwarning: vms/x/y cannot be read: manifest.json is not JSON\n' });
    expect(await cli('catalog rebuild --repository elsewhere')).toMatchObject({ code: 1, err: expect.stringContaining('repository.unknown') as string });
  });
});
