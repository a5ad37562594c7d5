// `npm start`: set-up, every embedded part, then the main job; ends what it started, or leaves it running with --keep.
// The job itself (back up demo while its guest writes, rebuild the catalog, restore, prove) is dev/main-job.mjs.
import { performance } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { addresses } from './parts/addresses.mjs';
import { attachParts, startInBackground } from './parts/background.mjs';
import { optionHelp, readOptions } from './parts/options.mjs';
import { reportAndFail, setup } from './setup.mjs';

const usage = `usage: npm start -- [options]
${optionHelp}
  --keep                  leaves everything running at the end (node dev/up.mjs --stop ends it)`;

/** Prints each step with the seconds since the start; lines that belong to a step are indented below it. */
export function stepPrinter(write = (line) => console.log(line)) {
  const startedAt = performance.now();
  const say = (line) => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    const [first, ...more] = line.split('\n');
    write([`${seconds.padStart(6)} s  ${first}`, ...more.map((text) => `          ${text}`)].join('\n'));
  };
  return say;
}

async function partsFor({ state, keep, ports, ready, say }) {
  const running = attachParts(state);
  if (running) {
    say(`using what runs already on ${state}`);
    return running;
  }
  say('starting Temporal, PostgreSQL, the lab and the workers');
  if (keep) return startInBackground({ state, ports, env: ready.env });
  const { startParts } = await import('./parts.mjs'); // It needs npm packages, which set-up has brought by now.
  return startParts({ state, ports, setup: ready, say });
}

/**
 * @param {{ keep: boolean, state: string, ports: string, say: (line: string) => void,
 *   job: (context: { parts: object, state: string, env: object, say: (line: string) => void }) => Promise<void> }} options
 */
export async function start({ keep, state, ports, say, job }) {
  say('set-up');
  const ready = await setup({ say });
  const parts = await partsFor({ state, keep, ports, ready, say });
  const stop = async () => {
    say('stopping what was started');
    await parts.stop();
  };
  const interrupt = () => { void stop().finally(() => process.exit(130)); };
  if (!keep) for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, interrupt);
  say(addresses(parts));
  try {
    await job({ parts, state, env: ready.env, say });
  } finally {
    if (keep) say(`everything is left running; stop it with: node dev/up.mjs --stop --state ${state}`);
    else await stop();
  }
}

async function main() {
  const { keep, state, ports } = readOptions(usage, { keep: { type: 'boolean', default: false } });
  const job = async (context) => (await import('./main-job.mjs')).mainJob(context);
  await start({ keep, state, ports, say: stepPrinter(), job });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  main().catch(reportAndFail).finally(() => process.exit());
}
