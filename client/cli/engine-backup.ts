// One backup of an engine on the engine's own host, scope by scope: told to the log at its start and its end, as engine-backup does (seed "Backup
// Awareness"). pg_dump, psql and tar do the work. A file appears under its name only when it is whole and on the disk.
import { appendFile, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { HoldfastClientError } from '../errors';
import type { Environment } from '../config';
import { runProgram, type ProgramEnd } from './run-program';

export const hookScopes = ['files', 'db'] as const;
export type HookScope = (typeof hookScopes)[number];

/** Rows of work under way, which mean nothing on another day: async tasks, jobs and their steps, commands, compensation (ovirt-engine, create_tables.sql and its upgrades). */
export const defaultExcludedTables = [
  'async_tasks', 'async_tasks_entities', 'job', 'job_subject_entity', 'step', 'step_subject_entity', 'command_entities', 'command_assoc_entities', 'business_entity_snapshot',
] as const;

export interface EngineBackupRequest {
  /** libpq's: a URI, `service=…`, or key=value words. Without a password. */
  readonly database: string;
  readonly logTo: string;
  readonly targets: readonly { readonly scope: HookScope; readonly file: string }[];
  readonly excludedTables: readonly string[];
  readonly paths: readonly string[];
  readonly logFile: string;
  readonly fqdn: string;
  readonly program: (name: 'psql' | 'pg_dump' | 'tar') => string;
  readonly environment: Environment;
  readonly signal: AbortSignal;
}

export interface ScopeOutcome {
  readonly scope: HookScope;
  readonly status: 'completed' | 'failed';
  readonly file?: string;
  readonly bytes?: number;
  readonly message?: string;
}

const statuses = { failed: -1, started: 0, completed: 1 } as const;
/** More is in the log file; it goes on a command line. */
const longestMessage = 8000;

/** A scope that fails does not keep the others from being saved. That the log cannot be told is fatal: whoever watches it would be misled. */
export async function backUpEngine(request: EngineBackupRequest): Promise<readonly ScopeOutcome[]> {
  await needPrograms(request);
  const outcomes: ScopeOutcome[] = [];
  for (const { scope, file } of request.targets) {
    await tell(request, scope, 'started', `engine-backup-hook: Backup Started, scope=${scope}, log=${request.logFile}`);
    const message = await save(request, scope, file);
    if (message === undefined) {
      const { size: bytes } = await stat(file);
      await tell(request, scope, 'completed', `engine-backup-hook: Backup Finished, scope=${scope}, log=${request.logFile}`).catch((error: unknown) => {
        throw error instanceof HoldfastClientError ? new HoldfastClientError(error.code, `${error.message} ${file} is whole all the same.`, error.details) : error;
      });
      outcomes.push({ scope, status: 'completed', file, bytes });
    } else {
      await tell(request, scope, 'failed', message);
      outcomes.push({ scope, status: 'failed', message });
    }
    if (request.signal.aborted) break;
  }
  return outcomes;
}

async function needPrograms({ program, environment, targets }: EngineBackupRequest): Promise<void> {
  const needed = new Set(['psql', ...targets.map(({ scope }) => (scope === 'db' ? 'pg_dump' : 'tar'))] as const);
  for (const name of needed) {
    const end = await runProgram({ program: program(name), arguments: ['--version'], environment }).catch((error: unknown) => ({ exitCode: 1, errorText: String(error) }));
    if (end.exitCode !== 0) throw new HoldfastClientError('config.invalid', `${program(name)} does not run (${end.errorText}). Install it (package postgresql, or postgresql-client), or name the directory that has it with --programs. Nothing was started.`, { program: name });
  }
}

/** What went wrong, in the program's own words; nothing: the file is there. */
async function save(request: EngineBackupRequest, scope: HookScope, file: string): Promise<string | undefined> {
  const partial = path.join(path.dirname(file), `.${path.basename(file)}.partial`);
  try {
    // Made here, so that nobody else may read it: it holds the engine's keys and passwords.
    await rm(partial, { force: true });
    await (await open(partial, 'wx', 0o600)).close();
    const problem = await (scope === 'db' ? dump(request, partial) : pack(request, partial));
    if (problem !== undefined) return problem;
    await flush(partial);
    await rename(partial, file);
    await flush(path.dirname(file));
    return undefined;
  } catch (error) {
    return `${file} could not be written: ${(error as Error).message}`;
  } finally {
    await rm(partial, { force: true }).catch(() => undefined);
  }
}

async function dump(request: EngineBackupRequest, file: string): Promise<string | undefined> {
  const { database, excludedTables, program, environment, signal } = request;
  const words = ['--no-password', '--format=custom', ...excludedTables.map((table) => `--exclude-table=${table}`), `--file=${file}`, `--dbname=${database}`];
  const end = await runProgram({ program: program('pg_dump'), arguments: words, environment, signal });
  await note(request, 'pg_dump', end);
  // As engine-backup: a dump about which pg_dump has something to say is none.
  return end.exitCode === 0 && end.errorText === '' ? undefined : problemOf('pg_dump', end);
}

async function pack(request: EngineBackupRequest, file: string): Promise<string | undefined> {
  const { paths, program, environment, signal } = request;
  const words = ['--create', '--gzip', '--acls', '--xattrs', '--selinux', `--file=${file}`, '--directory=/', '--', ...paths.map((each) => path.relative('/', each))];
  const end = await runProgram({ program: program('tar'), arguments: words, environment, signal });
  await note(request, 'tar', end);
  return end.exitCode === 0 ? undefined : problemOf('tar', end);
}

function problemOf(name: string, { exitCode, endedBy, errorText }: ProgramEnd): string {
  return `${name} ${endedBy === null ? `ended with ${String(exitCode)}` : `was ended by ${endedBy}`}${errorText === '' ? '' : `: ${errorText}`}`;
}

/** psql quotes the values by itself, and they are no part of the SQL. Unqualified: an engine's own procedure is in `public`, the catalog's login has its search_path. */
async function tell(request: EngineBackupRequest, scope: HookScope, status: keyof typeof statuses, text: string): Promise<void> {
  const { program, environment, logTo, fqdn, logFile } = request;
  const message = text.slice(0, longestMessage);
  await writeLine(logFile, message);
  const values = { scope, status: String(statuses[status]), message, fqdn, log: logFile };
  const end = await runProgram({
    program: program('psql'),
    arguments: ['--no-psqlrc', '--no-password', '--quiet', '--set=ON_ERROR_STOP=1', ...Object.entries(values).map(([name, value]) => `--set=${name}=${value}`), `--dbname=${logTo}`, '--file=-'],
    environment,
    input: "SELECT LogEngineBackupEvent(:'scope', now(), :'status'::integer, :'message', :'fqdn', :'log');\n",
  });
  await note(request, 'psql', end);
  if (end.exitCode === 0) return;
  const done = status === 'started' ? 'Nothing of this scope was saved.' : '';
  throw new HoldfastClientError('client.engine-backup', `The log of engine backups was not told that the backup of scope ${scope} has ${status}: ${problemOf('psql', end)}. Check --log-to and the login's password file (PGPASSFILE). ${done}`.trim(), { scope, status });
}

function note({ logFile }: EngineBackupRequest, name: string, end: ProgramEnd): Promise<void> {
  return writeLine(logFile, problemOf(name, end));
}

async function writeLine(logFile: string, text: string): Promise<void> {
  try {
    await appendFile(logFile, `${new Date().toISOString()} ${text}\n`, { mode: 0o600 });
  } catch (error) {
    throw new HoldfastClientError('config.invalid', `The log file ${logFile} cannot be written: ${(error as Error).message}. Name another with --log.`, { logFile }, { cause: error });
  }
}

async function flush(file: string): Promise<void> {
  const handle = await open(file, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
