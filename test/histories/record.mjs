// Records the histories that test/replay replays for ever: `node test/histories/record.mjs --state <dir>` on running embedded parts
// (node dev/up.mjs --state <dir> --ports free). Writes <flow>/<release>-<case>.json. It never replaces a file: a committed history that
// does not replay any more is mended in the workflow (docs/versioning.md), not here.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { attachParts } from '../../dev/parts/background.mjs';
import { reportAndFail } from '../../dev/setup.mjs';
import { Problem, checkout } from '../../dev/setup/shell.mjs';
import { cases } from './cases.mjs';
import { portableHistory } from './portable.cjs';
import { openRecordingStage } from './stage.mjs';

const usage = `usage: node test/histories/record.mjs --state <dir> [--only <flow>/<case>]...
Records what is missing of ${cases.map(({ flow, name }) => `${flow}/${name}`).join(', ')}`;

/** A history of code that nobody can check out again proves nothing. */
function requireCommittedFlows() {
  const changed = execFileSync('git', ['status', '--porcelain', '--untracked-files=no', '--', 'workflows', 'domain'], {
    cwd: checkout,
    encoding: 'utf8',
  });
  if (changed.trim() !== '')
    throw new Problem(
      `these files are not committed:\n${changed}`,
      'commit them, build (node dev/setup.mjs), restart the parts, then record',
    );
}

function fileOf({ flow, name }) {
  const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));
  return join(import.meta.dirname, flow, `${version}-${name}.json`);
}

async function record(stage, one) {
  const handle = await one.play(stage);
  const { status, runId } = await handle.describe();
  if (status.name !== one.ends)
    throw new Error(`${one.flow}/${one.name} ended as ${status.name} instead of ${one.ends}: ${handle.workflowId}, Temporal run ${runId}`);
  const history = await stage.client.workflow.getHandle(handle.workflowId, runId).fetchHistory();
  const file = fileOf(one);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, portableHistory(history, stage.places), { flag: 'wx' });
  console.log(`${one.flow}/${one.name}: ${history.events.length} events`);
}

async function main() {
  const { values } = parseArgs({ options: { state: { type: 'string' }, only: { type: 'string', multiple: true } } });
  if (!values.state) throw new Problem(usage, 'name the state directory of running parts');
  const state = resolve(values.state);
  const parts = attachParts(state);
  if (!parts) throw new Problem(`nothing runs on ${state}`, `start it: node dev/up.mjs --state ${state} --ports free`);
  requireCommittedFlows();
  const wanted = cases.filter(({ flow, name }) => !values.only || values.only.includes(`${flow}/${name}`));
  const missing = wanted.filter((one) => !existsSync(fileOf(one)));
  for (const { flow, name } of wanted.filter((one) => !missing.includes(one)))
    console.log(`${flow}/${name}: recorded before, stays as it is`);
  const stage = await openRecordingStage({ state, parts });
  try {
    for (const one of missing) await record(stage, one);
  } finally {
    await stage.close();
  }
}

await main().catch(reportAndFail);
