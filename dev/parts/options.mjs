// What the launchers have in common: their options (a wrong one: usage on stderr, exit code 2), and staying until a signal.
import { parseArgs } from 'node:util';
import { stateDirectory } from './state.mjs';

const portModes = ['auto', 'file', 'free'];

export const optionHelp = `  --state <directory>     where everything is kept (default: HOLDFAST_STATE, or .state in the checkout)
  --ports auto|file|free  those of temporal-dev.yml (file), free ones (free), free ones only instead of taken ones (auto, the default)`;

export function readOptions(usage, flags = {}) {
  try {
    const { values } = parseArgs({ options: { state: { type: 'string' }, ports: { type: 'string', default: 'auto' }, help: { type: 'boolean', short: 'h' }, ...flags } });
    if (!portModes.includes(values.ports)) throw new Error(`--ports is one of ${portModes.join(', ')}`);
    if (!values.help) return { ...values, state: stateDirectory(values.state) };
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    process.exit(2);
  }
}

/**
 * Runs `start`, then waits for SIGINT, SIGTERM or SIGHUP. A signal while it is still starting ends the process at once: what
 * was started so far ends with it (pdeathsig).
 */
export async function startAndStay(start, onStarted) {
  let isStarted = false;
  const interrupted = new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => (isStarted ? done() : process.exit(130)));
  });
  const parts = await start();
  isStarted = true;
  await onStarted(parts);
  await interrupted;
  console.log('Stopping.');
  await parts.stop();
}
