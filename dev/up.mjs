// Starts everything that is embedded, prints the addresses, stays until SIGINT or SIGTERM and then ends everything.
// This is what `holdfast up` runs.
import { parseArgs } from 'node:util';
import { addresses } from './parts/addresses.mjs';
import { stopBackground } from './parts/background.mjs';
import { stateDirectory } from './parts/state.mjs';
import { reportAndFail, setup } from './setup.mjs';

const usage = `usage: node dev/up.mjs [--state <directory>] [--ports auto|file|free] [--stop]
  --state   where everything is kept (default: HOLDFAST_STATE, or .state in the checkout)
  --ports   those of temporal-dev.yml (file), free ones (free), or free ones only instead of taken ones (auto, the default)
  --stop    ends what runs on the state directory`;

async function stop(state) {
  const stopped = await stopBackground(state);
  console.log(stopped ? `Stopped what ran on ${state}.` : `Nothing runs on ${state}.`);
}

async function start({ state, ports, say }) {
  const ready = await setup({ say });
  const { startParts } = await import('./parts.mjs'); // It needs npm packages, which set-up has brought by now.
  return startParts({ state, ports, setup: ready, say });
}

function untilInterrupted() {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => done(signal));
  });
}

async function main() {
  const { values } = parseArgs({ options: { state: { type: 'string' }, ports: { type: 'string', default: 'auto' }, stop: { type: 'boolean' }, help: { type: 'boolean' } } });
  if (values.help || !['auto', 'file', 'free'].includes(values.ports)) return console.log(usage);
  const state = stateDirectory(values.state);
  if (values.stop) return stop(state);
  const say = (line) => console.log(line);
  const interrupted = untilInterrupted();
  const starting = start({ state, ports: values.ports, say });
  // Interrupted while starting: leave at once, the parts end with us (pdeathsig).
  const parts = await Promise.race([starting, interrupted.then(() => process.exit(130))]);
  console.log(`${addresses(parts)}\nRunning. Ctrl-C ends it.`);
  await interrupted;
  console.log('Stopping.');
  await parts.stop();
}

await main().then(() => process.exit(), (error) => {
  reportAndFail(error);
  process.exit();
});
