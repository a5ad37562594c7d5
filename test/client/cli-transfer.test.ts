// The command's words for methods, kinds, witnesses and verifications, end to end: a real Temporal, stand-in flows, the real `main`.
import { HoldfastClient } from '../../client';
import { runCli, startStandIns } from './harness';
import type { CliOptions, CliRun, StandIns } from './harness';
import { estate, vmNamed } from './stand-ins/estate';

let standIns: StandIns;
let client: HoldfastClient;
let environment: Readonly<Record<string, string>>;

beforeAll(async () => {
  standIns = await startStandIns();
  const { address } = standIns.temporal;
  environment = { HOLDFAST_TEMPORAL_ADDRESS: address, HOLDFAST_ENGINE: 'lab', HOLDFAST_REPOSITORY: 'main' };
  client = await HoldfastClient.connect({ address });
}, 180_000);

afterAll(async () => {
  await client.close();
  await standIns.stop();
}, 60_000);

const cli = (command: string, options: CliOptions = {}): Promise<CliRun> => runCli(command.split(' '), { environment, ...options });
const json = (run: CliRun): Record<string, unknown> => JSON.parse(run.out) as Record<string, unknown>;

describe('backup vm', () => {
  test('every flag of method and kind reaches the request', async () => {
    await cli('backup vm demo --method transfer --kind incremental --strict-kind --witness 3 --no-wait');
    const handle = client.temporal.workflow.getHandle(`vm/lab/${vmNamed('demo')}`);
    const [payload] = (await handle.fetchHistory()).events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    expect(JSON.parse(Buffer.from(payload?.data ?? []).toString())).toMatchObject({ method: 'transfer', kind: 'incremental', strict: true, witness: { every: 3 } });
    await handle.result();
    expect(await cli('backup vm demo --witness now')).toMatchObject({ code: 2, err: expect.stringContaining('never, always, or a number') as string });
    expect(await cli('backup vm demo --strict-kind --kind incremental')).toMatchObject({ code: 2, err: expect.stringContaining('strict: the method appliance makes full backups only') as string });
  });

  test('says why a backup is of its kind', async () => {
    expect((await cli('backup vm demo')).out).toMatch(/^ {2}kind +full, appliance\n {2}why +the method "appliance" reads whole disks, so every backup is a full one \[method\.full-only\]$/m);
  });
});

describe('verify', () => {
  test('takes engine and repository from the catalog, and says what was read', async () => {
    const run = await cli(`verify ${estate.backupId} --chain --bandwidth 100MiB`, { environment: { HOLDFAST_TEMPORAL_ADDRESS: environment['HOLDFAST_TEMPORAL_ADDRESS'] ?? '' } });
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toContain(`Started verifyBackup verify/${estate.backupId}`);
    expect(run.out).toContain(`Backup ${estate.backupId} of demo is what was sealed, and so are the 1 that it lies on.`);
    expect(run.out).toMatch(new RegExp(`^ {2}${estate.createdVmId} +full +demo_Disk1 +4\\.0 GiB +abab`, 'm'));
  });

  test('what is not as it was sealed exits with 1, names the disk, and says what to do', async () => {
    const run = await cli(`verify ${estate.decayedBackupId} --engine lab --repository main`);
    expect(run).toMatchObject({ code: 1, err: expect.stringContaining('disk demo_Disk1: block 7 does not have its digest [digest.mismatch]') as string });
    expect(run.err).toContain('what to do: ');
  });

  test('--no-wait starts only; the run is found by its backup', async () => {
    expect(json(await cli(`verify ${estate.backupId} --no-wait --json`))).toMatchObject({ workflowId: `verify/${estate.backupId}`, outcome: 'started' });
    expect((await cli(`verify ${estate.backupId}`)).code).toBe(7);
    await (await client.attach(`verify/${estate.backupId}`)).result();
    expect((await cli(`show verify/${estate.backupId}`)).out).toContain('is what was sealed');
  });
});
