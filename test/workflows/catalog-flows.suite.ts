// The short flows by which clients read: findVms, listBackups, listRuns; and rebuildCatalog, which goes through a repository page by page.
import { randomUUID } from 'node:crypto';
import type { FindVmsOutput, RebuildCatalogOutput } from '../../domain/flows/queries';
import { goodAnswers, repository, summary } from './answers';
import { payloadBytes } from './payloads';
import { Script } from './script';
import { ending, useStage, world, type Ended } from './stage';

const stageOf = useStage();

async function run(flow: string, input: unknown, prepare: (script: Script) => void = () => undefined): Promise<{ readonly script: Script; readonly end: Ended; readonly payloads: readonly number[] }> {
  const script = new Script(goodAnswers(world()));
  prepare(script);
  const handle = await stageOf().start(flow, `catalog/${flow}/${randomUUID()}`, input, script);
  const end = await ending(handle);
  return { script, end, payloads: payloadBytes(await handle.fetchHistory()) };
}

const reads = [
  { flow: 'findVms', activity: 'findVmsOnEngine', input: { engine: 'lab', vms: ['demo'] } },
  { flow: 'listBackups', activity: 'listBackupsInCatalog', input: { vmName: 'demo' } },
  { flow: 'listRuns', activity: 'listRunsInCatalog', input: { outcome: 'failed' } },
] as const;

describe.each(reads)('$flow', ({ flow, activity, input }) => {
  const page = { limit: 100, offset: 0 };

  test('asks with its defaults filled in, and hands the page on', async () => {
    const { script, end } = await run(flow, input);
    expect(end).toMatchObject({ status: 'COMPLETED', output: { more: false } });
    expect(script.calls.map((call) => [call.activity, call.input])).toEqual([[activity, { ...(flow === 'findVms' ? { vms: [] } : {}), page, ...input }]]);
  });

  test('asks for the page that was wanted', async () => {
    const { script } = await run(flow, { ...input, page: { limit: 7, offset: 14 } });
    expect(script.calls[0]?.input['page']).toEqual({ limit: 7, offset: 14 });
  });

  test('fails with the code of what went wrong', async () => {
    const { end } = await run(flow, input, (script) => script.fail(activity, 'engine.not-found'));
    expect(end).toMatchObject({ status: 'FAILED', code: 'engine.not-found', message: `${activity} was told to fail`, details: { told: true } });
  });

  test.each([[{ ...input, page: { limit: 0, offset: 0 } }], [{ ...input, page: { limit: 501, offset: 0 } }], [{ ...input, surprise: 1 }], [undefined]])('refuses %j', async (bad) => {
    const { script, end } = await run(flow, bad);
    expect(end).toMatchObject({ status: 'FAILED', code: 'input.invalid' });
    expect(script.calls).toEqual([]);
  });
});

test('findVms gives what was found', async () => {
  const vms = [{ id: randomUUID(), name: 'demo', status: 'up', cluster: 'Default' }];
  const { end } = await run('findVms', { engine: 'lab', search: 'name=d*' }, (script) => script.on('findVmsOnEngine', () => Promise.resolve({ vms, more: true })));
  expect(end.output).toEqual({ vms, more: true } satisfies FindVmsOutput);
});

describe('rebuildCatalog', () => {
  const since = '2026-11-21T06:00:00.000Z';
  const pages = [
    { backups: [summary(), summary()], unreadable: [{ path: 'vms/x/1', reason: 'no JSON' }], next: 'vms/x/3' },
    { backups: [], unreadable: [{ path: 'vms/x/4', reason: 'cut off' }], next: 'vms/x/6' },
    { backups: [summary()], unreadable: [] },
  ];

  test('reads page after page, indexes each, and at the end forgets what was not seen since its beginning', async () => {
    let read = 0;
    const { script, end } = await run('rebuildCatalog', { repository }, (each) =>
      each
        .on('beginRebuild', () => Promise.resolve({ since }))
        .on('scanRepository', () => Promise.resolve(pages[read++] ?? { backups: [], unreadable: [] }))
        .on('finishRebuild', () => Promise.resolve({ removed: 4, indexed: 3 })),
    );
    expect(end.output).toEqual({ indexed: 3, removed: 4, unreadable: pages.flatMap((page) => page.unreadable) } satisfies RebuildCatalogOutput);
    expect(script.names()).toEqual(['beginRebuild', 'scanRepository', 'indexBackups', 'scanRepository', 'indexBackups', 'scanRepository', 'indexBackups', 'finishRebuild']);
    expect(script.of('scanRepository').map((call) => call.input['after'])).toEqual([undefined, 'vms/x/3', 'vms/x/6']);
    expect(script.of('indexBackups').map((call) => call.input['backups'])).toEqual(pages.map((page) => page.backups));
    expect(script.of('finishRebuild')[0]?.input).toEqual({ repository, since });
  });

  test('forgets nothing when the reading breaks off', async () => {
    const { script, end } = await run('rebuildCatalog', { repository }, (each) => each.fail('scanRepository', 'repository.unknown'));
    expect(end).toMatchObject({ status: 'FAILED', code: 'repository.unknown' });
    expect(script.of('finishRebuild')).toEqual([]);
  });

  test('keeps its payloads small even when every page is full of backups with many disks', async () => {
    const disks = Array.from({ length: 20 }, (_, index) => ({ diskId: randomUUID(), alias: `a disk with a long alias, number ${index}`, virtualBytes: 2 ** 44, dataBytes: 2 ** 43, root: 'a'.repeat(64) }));
    const { end, payloads } = await run('rebuildCatalog', { repository }, (each) =>
      each.on('scanRepository', ({ limit, after }) => Promise.resolve({ backups: Array.from({ length: limit }, () => summary({ disks })), unreadable: [], ...(after === undefined ? { next: 'vms/x/1' } : {}) })),
    );
    expect(end.status).toBe('COMPLETED');
    // Temporal warns at 512 KiB and refuses at 2 MiB.
    expect(Math.max(...payloads)).toBeLessThan(512 * 1024);
  });
});
