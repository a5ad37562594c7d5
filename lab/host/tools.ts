// Runs qemu-img and its relatives to completion, and turns their complaints into host errors. Starts no VM.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { HostError } from './port';
import { isErrno } from './state-file';

export class ToolError extends Error {
  constructor(
    readonly program: string,
    readonly output: string,
  ) {
    super(`${program}: ${output}`);
    this.name = 'ToolError';
  }
}

export interface ToolOptions {
  readonly timeoutMs?: number;
  readonly onOutput?: (chunk: string) => void;
}

/** The standard output; a ToolError with what the program wrote otherwise. */
export async function runTool(program: string, args: readonly string[], options: ToolOptions = {}): Promise<string> {
  // mkfs and friends live outside an ordinary user's PATH.
  for (const candidate of [program, `/usr/sbin/${program}`, `/sbin/${program}`]) {
    try {
      return await runOnce(candidate, args, options);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
  throw new ToolError(program, 'not found on this machine; "npm run setup" installs it');
}

async function runOnce(program: string, args: readonly string[], { timeoutMs = 600_000, onOutput }: ToolOptions): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs, killSignal: 'SIGKILL' });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    onOutput?.(chunk);
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  if (code === 0) return stdout;
  throw new ToolError(program, stderr.trim() || `ended with ${signal ?? `exit code ${String(code)}`}`);
}

/** What QEMU and its tools say in words, as a code the engine side can act on. `subject` names the object, `fallback` is the code otherwise. */
export function toHostError(error: unknown, subject: string, fallback: HostError['code'] = 'qemu-failed'): HostError {
  if (error instanceof HostError) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (/Failed to (get|lock)|Is another process using the image|Permission conflict/i.test(text)) {
    return new HostError('volume-in-use', `${subject} is in use by another process: ${text}`);
  }
  if (/No space left|ENOSPC/i.test(text)) return new HostError('no-space', `${subject}: the storage domain is full: ${text}`);
  return new HostError(fallback, `${subject}: ${text}`);
}
