// `npm run bench -- overhead`: what a backup costs when there is nothing to copy. dev/bench.mjs brings up the parts and makes the VMs.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { HoldfastClient } from '../../client';
import { describeMachine } from '../measure/machine';
import { alternating } from '../measure/statistics';
import { breakDown } from './history';
import { reportText, type OverheadReport, type OverheadRun } from './report';

interface Stage {
  readonly address: string;
  readonly namespace: string;
  readonly engine: string;
  readonly repository: string;
}

/** Progress on stderr, the report alone on stdout. */
function say(line: string): void {
  console.error(line);
}

async function backUp(client: HoldfastClient, { engine, repository }: Stage, vmId: string): Promise<OverheadRun> {
  const startedMs = performance.now();
  const handle = await client.backupVm({ engine, vmId, repository });
  const result = await handle.result();
  const seconds = (performance.now() - startedMs) / 1000;
  if (result.warnings.length > 0) throw new Error(`the backup has warnings, so it measures something else: ${result.warnings.join('; ')}`);
  return { seconds, ...breakDown(await client.temporal.workflow.getHandle(handle.workflowId, handle.temporalRunId).fetchHistory()) };
}

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { address: text, namespace: text, engine: text, repository: text, vms: text, rounds: { ...text, default: '5' }, json: text } });
  const { address = '', namespace = '', engine = '', repository = '', vms = '', rounds } = values;
  const contenders = Object.entries(JSON.parse(vms) as Record<string, string>);
  const client = await HoldfastClient.connect({ address, namespace });
  const machine = describeMachine({});
  const startedAt = new Date().toISOString();
  const runs: Record<string, OverheadRun[]> = Object.fromEntries(contenders.map(([state]) => [state, []]));
  try {
    // The first run of each is the warm-up: connections are opened and the workflow is loaded.
    for (const [round, order] of alternating(contenders, Number(rounds) + 1).entries()) {
      for (const [state, vmId] of order) {
        const run = await backUp(client, { address, namespace, engine, repository }, vmId);
        say(`${round === 0 ? 'warm-up' : `round ${round}`}  VM ${state}  ${run.seconds.toFixed(2)} s`);
        if (round > 0) runs[state]?.push(run);
      }
    }
  } finally {
    await client.close();
  }
  const report: OverheadReport = { benchmark: 'overhead', startedAt, machine, runs };
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
  console.log(reportText(report));
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
