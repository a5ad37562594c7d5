// Another program of this machine, run to its end: what it says on stderr is kept, what it reads on stdin is given. No shell, so nothing is expanded.
import { spawn } from 'node:child_process';
import type { Environment } from '../config';

export interface ProgramCall {
  readonly program: string;
  readonly arguments: readonly string[];
  readonly environment: Environment;
  readonly input?: string;
  /** Ends it with SIGTERM. */
  readonly signal?: AbortSignal;
}

export interface ProgramEnd {
  /** null: ended by a signal. */
  readonly exitCode: number | null;
  readonly endedBy: NodeJS.Signals | null;
  readonly errorText: string;
}

const keptErrorCharacters = 64_000;

/** Rejects when it cannot be started at all. */
export function runProgram({ program, arguments: words, environment, input = '', signal }: ProgramCall): Promise<ProgramEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { env: { ...environment }, stdio: ['pipe', 'ignore', 'pipe'], ...(signal === undefined ? {} : { signal, killSignal: 'SIGTERM' }) });
    let errorText = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errorText = (errorText + text).slice(0, keptErrorCharacters)));
    // It may end before it has read everything: its exit code tells.
    child.stdin.on('error', () => undefined).end(input);
    child.once('error', (error) => {
      if (signal?.aborted !== true) reject(error);
    });
    child.once('close', (exitCode, endedBy) => resolve({ exitCode, endedBy, errorText: errorText.trim() }));
  });
}
