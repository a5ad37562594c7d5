// `npm run screenshots`: what an operator sees in Temporal's UI of a running, a failed and a cancelled backup, in headless Chromium. Fails when
// a page does not say what it must (dev/screenshots/pages.mjs); writes the pictures of docs/operators.md.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pages } from './screenshots/pages.mjs';
import { shrinkPng } from './screenshots/shrink-png.mjs';
import { reportAndFail, setup, usualWants } from './setup.mjs';
import { Problem, checkout } from './setup/shell.mjs';

const usage = `usage: npm run screenshots -- [options]
  --check             says what is missing on which page, and writes nothing
  --out <directory>   where the pictures go (default: docs/screenshots)`;
const largestBytes = 200_000;

function options() {
  try {
    const { values } = parseArgs({ options: { check: { type: 'boolean', default: false }, out: { type: 'string', default: join(checkout, 'docs', 'screenshots') }, help: { type: 'boolean', short: 'h' } } });
    if (!values.help) return values;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    process.exit(2);
  }
}

/** Every page is looked at: one run tells all that is missing. */
async function lookAtAll(ui, runs, { check, out }, say) {
  const unsaid = [];
  for (const page of pages) {
    try {
      await ui.show(page, runs);
    } catch (error) {
      unsaid.push(error.message);
      continue;
    }
    const picture = shrinkPng(await ui.picture(page));
    if (picture.length > largestBytes) unsaid.push(`the picture of "${page.name}" has ${picture.length} bytes, more than ${largestBytes}`);
    if (!check) writeFileSync(join(out, `${page.name}.png`), picture);
    say(`${page.name}: says everything (${Object.keys(page.says).length} questions)`);
  }
  if (unsaid.length > 0) throw new Problem(unsaid.join('\n\n'), 'look at workflows/details.ts and workflows/summaries.ts; after an update of Temporal also at dev/screenshots/ui.mjs');
}

async function main() {
  const given = options();
  const say = (line) => console.log(line);
  const ready = await setup({ want: [...usualWants, 'browser'], say });
  // They need npm packages, which set-up has brought by now.
  const { startParts } = await import('./parts.mjs');
  const { openUi } = await import('./screenshots/ui.mjs');
  const { hurryUndos, makeRuns } = await import('./screenshots/runs.mjs');
  const state = mkdtempSync(join(tmpdir(), 'hf-screenshots-'));
  const ends = [async () => rmSync(state, { recursive: true, force: true })];
  const end = async () => { for (let one = ends.pop(); one; one = ends.pop()) await one(); };
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => { void end().finally(() => process.exit(130)); });
  try {
    say('starting Temporal, PostgreSQL, the lab and the workers');
    const parts = await startParts({ state, ports: 'free', setup: ready, say });
    ends.push(() => parts.stop());
    await hurryUndos(parts);
    const ui = await openUi({ browser: ready.browser, uiUrl: parts.temporal.uiUrl, namespace: parts.temporal.namespace });
    ends.push(() => ui.close());
    const runs = await makeRuns(parts, say);
    ends.push(() => runs.close());
    await ui.chooseColumns();
    await lookAtAll(ui, runs, given, say);
  } finally {
    await end();
  }
}

await main().then(() => process.exit(), (error) => {
  reportAndFail(error);
  process.exit();
});
