// Starts everything that is embedded, prints the addresses, stays until SIGINT or SIGTERM and then ends everything.
// This is what `holdfast up` runs.
import { addresses } from './parts/addresses.mjs';
import { stopBackground } from './parts/background.mjs';
import { optionHelp, readOptions, startAndStay } from './parts/options.mjs';
import { reportAndFail, setup } from './setup.mjs';

const usage = `usage: node dev/up.mjs [options]
${optionHelp}
  --stop                  ends what runs on the state directory`;

async function stop(state) {
  const stopped = await stopBackground(state);
  console.log(stopped ? `Stopped what ran on ${state}.` : `Nothing runs on ${state}.`);
}

async function start({ state, ports, say }) {
  const ready = await setup({ say });
  const { startParts } = await import('./parts.mjs'); // It needs npm packages, which set-up has brought by now.
  return startParts({ state, ports, setup: ready, say });
}

async function main() {
  const options = readOptions(usage, { stop: { type: 'boolean' } });
  const { state, ports } = options;
  if (options.stop) return stop(state);
  const say = (line) => console.log(line);
  await startAndStay(() => start({ state, ports, say }), (parts) => say(`${addresses(parts)}\nRunning. Ctrl-C ends it.`));
}

await main().then(() => process.exit(), (error) => {
  reportAndFail(error);
  process.exit();
});
