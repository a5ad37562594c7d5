// What the CLI needs of a process, so that tests run it in their own: streams, terminal, environment, Ctrl-C. `processIo` is the real one.
import { currentEnvironment } from '../config';
import type { Environment } from '../config';

export interface Io {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** stdout is a terminal that understands cursor movements. */
  readonly isTerminal: boolean;
  readonly columns: () => number;
  readonly environment: Environment;
  readonly cwd: string;
  /** The directory that holds dev/up.mjs and package.json. */
  readonly programRoot: string;
  /** Calls back on Ctrl-C until the returned function is called. */
  readonly onInterrupt: (listener: () => void) => () => void;
  /** `inherit`: a child writes to this process's own streams; `pipe`: through `out` and `err`. */
  readonly childOutput: 'inherit' | 'pipe';
}

export function processIo(programRoot: string): Io {
  const environment = currentEnvironment();
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTerminal: process.stdout.isTTY && environment['TERM'] !== 'dumb',
    columns: () => process.stdout.columns || 80,
    environment,
    cwd: process.cwd(),
    programRoot,
    onInterrupt: (listener) => {
      process.on('SIGINT', listener);
      return () => void process.off('SIGINT', listener);
    },
    childOutput: 'inherit',
  };
}
