// The programs that a worker starts: are they there, and which version? Nothing else is asked of them.
import { execFile } from 'node:child_process';
import { neededPrograms, type NeededProgram, type ProgramFacts } from '../../domain/doctor/judge-workers';

const deadlineMs = 5_000;

/** `searchPath`: instead of this process's PATH. */
export async function examinePrograms(searchPath?: string): Promise<readonly ProgramFacts[]> {
  return Promise.all((Object.keys(neededPrograms) as NeededProgram[]).map((program) => examineProgram(program, searchPath)));
}

function examineProgram(program: NeededProgram, searchPath: string | undefined): Promise<ProgramFacts> {
  return new Promise((resolve) => {
    execFile(program, ['--version'], { timeout: deadlineMs, ...(searchPath === undefined ? {} : { env: { PATH: searchPath } }) }, (error, stdout) => {
      // `qemu-img version 7.2.22 (Debian …)`, `qemu-nbd 7.2.22 (Debian …)`, `setpriv from util-linux 2.38.1`
      const version = /\b(\d+(?:\.\d+)+)/.exec(stdout)?.[1];
      resolve(version === undefined ? { program, version, reason: reasonOf(error) } : { program, version });
    });
  });
}

function reasonOf(error: (Error & { readonly code?: string | number | null }) | null): string {
  if (error === null) return 'says no version';
  return error.code === 'ENOENT' ? 'is not in the PATH' : error.message.trim();
}
