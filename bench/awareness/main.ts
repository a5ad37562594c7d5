// `npm run bench -- awareness`: how long the backups of a whole engine's VMs are judged. dev/bench.mjs brings up PostgreSQL.
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { createCatalog } from '../../adapters/catalog/catalog';
import { openDatabase } from '../../adapters/catalog/database';
import { judgement as judgementStatement, judgementParameters, judgementSettings } from '../../adapters/catalog/judge-vms';
import type { VmJudgement } from '../../adapters/catalog/port-inventory';
import { describeMachine } from '../measure/machine';
import { engine, makeInventory, objectives } from './inventory';
import { isReached, reportText, type AwarenessReport } from './report';

const backupsPerVm = 10;

/** Progress on stderr, the report alone on stdout. */
function say(line: string): void {
  console.error(line);
}

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { 'catalog-file': text, rounds: { ...text, default: '5' }, small: { type: 'boolean', default: false }, json: text } });
  const url = readFileSync(values['catalog-file'] ?? '', 'utf8').trim();
  const vms = values.small ? 2_000 : 100_000;
  const startedAt = new Date().toISOString();
  const catalog = createCatalog({ url, max: 2 });
  const database = openDatabase({ url, max: 2, log: { warn: () => undefined } });
  try {
    await catalog.migrate();
    say(`making ${vms} VMs with ${vms * backupsPerVm} backups`);
    await makeInventory(database, { vms, backupsPerVm });
    const [server] = await database.rows<{ version: string; backups: string }>("SELECT current_setting('server_version') AS version, count(*) AS backups FROM holdfast.backups");
    const machine = describeMachine({ PostgreSQL: server?.version ?? 'unknown' });
    const nowMs = Date.now();
    const evaluate = async (): Promise<{ seconds: number; judged: VmJudgement }> => {
      const startedMs = performance.now();
      const judged = await catalog.judgeVms({ engine, objectives, nowMs });
      return { seconds: (performance.now() - startedMs) / 1000, judged };
    };
    const first = await evaluate();
    say(`first  ${first.seconds.toFixed(2)} s`);
    await database.call('analyzing').change('VACUUM ANALYZE holdfast.vm_awareness');
    await evaluate();
    const seconds: number[] = [];
    const rssBytes = [process.memoryUsage.rss()];
    for (let round = 1; round <= Number(values.rounds); round += 1) {
      const { seconds: taken } = await evaluate();
      seconds.push(taken);
      rssBytes.push(process.memoryUsage.rss());
      say(`round ${round}  ${taken.toFixed(2)} s`);
    }
    const plan = await database.transaction('explaining', async (statements) => {
      await statements.rows(judgementSettings);
      return statements.rows<Record<string, string>>(`EXPLAIN (ANALYZE, BUFFERS) ${judgementStatement(objectives)}`, judgementParameters(engine, objectives, nowMs));
    });
    const report: AwarenessReport = {
      benchmark: 'awareness', startedAt, machine, vms, backups: Number(server?.backups ?? 0), firstSeconds: first.seconds, seconds, rssBytes,
      answerBytes: Buffer.byteLength(JSON.stringify(first.judged)), judgement: first.judged, plan: plan.flatMap((row) => Object.values(row)),
    };
    if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
    console.log(reportText(report));
    if (!isReached(report)) process.exitCode = 1;
  } finally {
    await database.close();
    await catalog.close();
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
