// `npm run lab`: set-up, then only the lab, in the foreground.
import { parseArgs } from 'node:util';
import { stateDirectory } from './parts/state.mjs';
import { reportAndFail, setup } from './setup.mjs';

async function start({ state, ports, say }) {
  const ready = await setup({ want: ['npm', 'debian', 'guest', 'build'], say });
  const { startParts } = await import('./parts.mjs'); // It needs npm packages, which set-up has brought by now.
  return startParts({ state, ports, only: ['lab'], setup: ready, say });
}

async function main() {
  const { values } = parseArgs({ options: { state: { type: 'string' }, ports: { type: 'string', default: 'auto' } } });
  const interrupted = new Promise((done) => { for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, done); });
  const starting = start({ state: stateDirectory(values.state), ports: values.ports, say: (line) => console.log(line) });
  const parts = await Promise.race([starting, interrupted.then(() => process.exit(130))]);
  const { readConnection } = await import('./parts/lab.mjs');
  const { url, username, caFile } = readConnection(parts.state);
  console.log(`Engine    ${url}\nUser      ${username}\nPassword  in ${parts.lab.connectionFile}\nCA        ${caFile}\nRunning. Ctrl-C ends it.`);
  await interrupted;
  await parts.stop();
}

await main().catch(reportAndFail);
process.exit();
