// `npm run lab`: set-up, then only the lab, in the foreground.
import { optionHelp, readOptions, startAndStay } from './parts/options.mjs';
import { reportAndFail, setup } from './setup.mjs';

async function start({ state, ports, say }) {
  const ready = await setup({ want: ['npm', 'debian', 'guest', 'build', 'venv'], say });
  const { startParts } = await import('./parts.mjs'); // It needs npm packages, which set-up has brought by now.
  return startParts({ state, ports, only: ['lab'], setup: ready, say });
}

async function show(parts) {
  const { readConnection } = await import('./parts/lab.mjs');
  const { url, username, caFile } = readConnection(parts.state);
  console.log(`Engine    ${url}\nUser      ${username}\nPassword  in ${parts.lab.connectionFile}\nCA        ${caFile}\nRunning. Ctrl-C ends it.`);
}

async function main() {
  const { state, ports } = readOptions(`usage: npm run lab -- [options]\n${optionHelp}`);
  await startAndStay(() => start({ state, ports, say: (line) => console.log(line) }), show);
}

await main().catch(reportAndFail);
process.exit();
