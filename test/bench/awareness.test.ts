// The benchmark of the evaluation runs whole on a small inventory, in a PostgreSQL of this test. It says nothing about speed.
import { createCatalog } from '../../adapters/catalog/catalog';
import { openDatabase } from '../../adapters/catalog/database';
import { engine, makeInventory, objectives } from '../../bench/awareness/inventory';
import { aims, isReached, reportText, type AwarenessReport } from '../../bench/awareness/report';
import { startPostgres } from '../support/postgres';

test('the inventory that is judged has VMs in every state, and none is left out', async () => {
  const postgres = await startPostgres();
  const url = await postgres.createDatabase();
  const catalog = createCatalog({ url, max: 1 });
  const database = openDatabase({ url, max: 1, log: { warn: () => undefined } });
  try {
    await catalog.migrate();
    await makeInventory(database, { vms: 2000, backupsPerVm: 3 });
    const { vms, objectives: judged, uncovered } = await catalog.judgeVms({ engine, objectives, nowMs: Date.now() });
    // One is an appliance.
    expect(vms).toBe(1999);
    expect(judged.reduce((sum, each) => sum + each.vms, uncovered.vms)).toBe(vms);
    const wrong = judged.map((each) => each.wrong);
    for (const state of ['never', 'too-old', 'not-verified'] as const) expect(wrong.some((counts) => (counts[state] ?? 0) > 0)).toBe(true);
    expect(uncovered.wrong.uncovered).toBe(uncovered.vms);
    for (const { vms: all, wrong: counts } of judged) expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBeLessThan(all / 2);
  } finally {
    await Promise.all([database.close(), catalog.close()]);
    await postgres.stop();
  }
}, 120_000);

test('a report is good when every evaluation took less than a second and memory did not grow', () => {
  const report: AwarenessReport = {
    benchmark: 'awareness', startedAt: '2026-01-02T03:04:05Z', machine: { processor: 'P', cores: 2, memoryGiB: 8, kernel: '6', loadBefore: 0, versions: {} }, vms: 100, backups: 1000, firstSeconds: 2,
    seconds: [0.5, 0.9, 0.6], rssBytes: [1e8, 1e8 + aims.grownBytes - 1], answerBytes: 900, plan: ['Seq Scan'],
    judgement: { vms: 100, exempt: 0, objectives: [{ objective: 'gold', vms: 90, wrong: { never: 2, 'too-old': 3 }, examples: [] }], uncovered: { vms: 10, wrong: { uncovered: 10 }, examples: [] } },
  };
  expect(isReached(report)).toBe(true);
  expect(isReached({ ...report, seconds: [0.5, 1] })).toBe(false);
  expect(isReached({ ...report, rssBytes: [1e8, 1e8 + aims.grownBytes] })).toBe(false);
  const text = reportText(report);
  expect(text).toMatch(/each of 3 evaluations, warm +\| +< 1 s \| +0\.60 s \| +0\.50–0\.90 \| +reached/);
  expect(text).toMatch(/\| gold +\| +90 \| +2 \| +3 \| +0 \| +0 \|/);
  expect(text).toMatch(/```\nSeq Scan\n```$/);
});
