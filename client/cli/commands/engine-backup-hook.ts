// `holdfast engine-backup-hook`: runs on a real engine's host, from cron or a timer, and speaks no Temporal. What it does is in ../engine-backup.ts.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Option, type Command } from 'commander';
import { humanBytes } from '../../../domain/units';
import { HoldfastClientError } from '../../errors';
import { backUpEngine, defaultExcludedTables, hookScopes, type EngineBackupRequest, type HookScope, type ScopeOutcome } from '../engine-backup';
import { pathsOfEngineHost } from '../engine-host-paths';
import { exitCodes } from '../exit-codes';
import type { Io } from '../io';
import { collect } from '../options';
import { printError } from '../print-error';
import type { Host } from '../session';

interface HookOptions {
  readonly database: string;
  readonly logTo?: string;
  readonly scope: readonly string[];
  readonly file?: string;
  readonly directory?: string;
  readonly excludeTable: readonly string[];
  readonly path: readonly string[];
  readonly log?: string;
  readonly fqdn: string;
  readonly programs?: string;
  readonly json?: boolean;
}

export function addEngineBackupHook(program: Command, { io, exitWith }: Host): void {
  program
    .command('engine-backup-hook')
    .description('on an engine\'s own host: save its database and files, and log start, completion and failure as engine-backup does')
    .requiredOption('--database <connection>', 'the engine\'s database, as pg_dump takes it: service=engine, postgresql://engine@localhost/engine; without a password (PGPASSFILE)')
    .option('--log-to <connection>', 'the database with LogEngineBackupEvent: the catalog, as its login engine_backup; default: the engine\'s own')
    .requiredOption('--fqdn <name>', 'the engine\'s name, as engine-setup was told and as engines.<name>.awareness.fqdn has it')
    .option('--scope <scope>', 'db or files; may be repeated; default: both', collect, [])
    .addOption(new Option('--file <file>', 'where one scope goes').conflicts('directory'))
    .option('--directory <directory>', 'where each scope goes, under a name with its time')
    .option('--exclude-table <table>', `not dumped; may be repeated; default: ${defaultExcludedTables.join(', ')}`, collect, [])
    .option('--path <path>', 'absolute path that scope files saves; may be repeated; default: what engine-backup saves', collect, [])
    .option('--log <file>', 'log file; default: engine-backup-hook.log beside what is written')
    .option('--programs <directory>', 'where psql and pg_dump are; default: PATH')
    .option('--json', 'one JSON document on stdout')
    .addHelpText('after', '\nExample:\n  $ holdfast engine-backup-hook --database service=engine --log-to service=holdfast --fqdn engine.example.com --directory /var/lib/ovirt-engine-backup')
    .action(async (options: HookOptions) => {
      const stop = new AbortController();
      const abort = (): void => stop.abort();
      const stopListening = io.onInterrupt(abort);
      process.on('SIGTERM', abort);
      try {
        exitWith(report(io, await backUpEngine(requestOf(io, options, stop.signal)), options.json === true));
      } catch (error) {
        exitWith(printError(io, error, options.json === true));
      } finally {
        stopListening();
        process.off('SIGTERM', abort);
      }
    });
}

function requestOf(io: Io, options: HookOptions, signal: AbortSignal): EngineBackupRequest {
  const { database, logTo = database, file, directory, log, fqdn, programs } = options;
  for (const [flag, connection] of [['--database', database], ['--log-to', logTo]] as const) refusePassword(flag, connection);
  const scopes = scopesOf(options.scope);
  if ((file === undefined) === (directory === undefined)) throw invalid('Say where the backup goes: --file <file> for one scope, or --directory <directory>.');
  if (file !== undefined && scopes.length > 1) throw invalid('--file holds one scope: name it with --scope, or give a --directory.');
  const folder = path.resolve(io.cwd, directory ?? path.dirname(file ?? ''));
  if (!existsSync(folder)) throw invalid(`There is no directory ${folder}: make it, with room for the backups and for nobody else to read.`);
  const stamp = new Date().toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '');
  const nameOf = (scope: HookScope): string => `engine-${scope}-${stamp}.${scope === 'db' ? 'dump' : 'tar.gz'}`;
  return {
    database, logTo, fqdn, signal,
    environment: io.environment,
    targets: scopes.map((scope) => ({ scope, file: file === undefined ? path.join(folder, nameOf(scope)) : path.resolve(io.cwd, file) })),
    excludedTables: options.excludeTable.length === 0 ? defaultExcludedTables : options.excludeTable,
    paths: scopes.includes('files') ? pathsOf(options.path) : [],
    logFile: path.resolve(io.cwd, log ?? path.join(folder, 'engine-backup-hook.log')),
    program: (name) => (programs === undefined || name === 'tar' ? name : path.resolve(io.cwd, programs, name)),
  };
}

/** A command line is everybody's to read. */
function refusePassword(flag: string, connection: string): void {
  if (/^postgres(?:ql)?:\/\/[^/@]*:[^/@]+@/i.test(connection) || /(?:^|[\s?&])password\s*=/i.test(connection)) {
    throw invalid(`${flag} holds a password, which every user of this machine can read on a command line. Leave it out, and put it into the file that PGPASSFILE names, or into a service file.`);
  }
}

function scopesOf(words: readonly string[]): readonly HookScope[] {
  const wrong = words.find((word) => !hookScopes.some((scope) => scope === word));
  if (wrong !== undefined) throw invalid(`There is no scope "${wrong}" here: db or files.`);
  return words.length === 0 ? hookScopes : hookScopes.filter((scope) => words.includes(scope));
}

/** Not every engine has all that engine-backup saves; what somebody names has to be there, and tar says so. */
function pathsOf(named: readonly string[]): readonly string[] {
  const relative = named.find((each) => !path.isAbsolute(each));
  if (relative !== undefined) throw invalid(`--path ${relative} is not absolute.`);
  const paths = named.length > 0 ? named : pathsOfEngineHost();
  if (paths.length === 0) throw invalid('This machine has none of an engine\'s files: run the hook on the engine\'s host, or name what to save with --path.');
  return paths;
}

function report(io: Io, outcomes: readonly ScopeOutcome[], json: boolean): number {
  const failed = outcomes.filter(({ status }) => status === 'failed');
  if (failed.length > 0) {
    const saved = outcomes.filter(({ status }) => status === 'completed').map(({ scope }) => scope);
    const words = failed.map(({ scope, message = '' }) => `scope ${scope}: ${message}`).join('; ');
    throw new HoldfastClientError('client.engine-backup', `The engine was not backed up in full: ${words}. ${saved.length === 0 ? 'Nothing was kept.' : `Saved: ${saved.join(', ')}.`} Mend that and run it again.`, { scopes: outcomes });
  }
  if (json) io.out(`${JSON.stringify({ scopes: outcomes }, undefined, 2)}\n`);
  else for (const { scope, file = '', bytes = 0 } of outcomes) io.out(`${scope}: ${file} (${humanBytes(bytes)})\n`);
  return exitCodes.ok.code;
}

function invalid(message: string): HoldfastClientError {
  return new HoldfastClientError('input.invalid', `${message} Nothing was started.`);
}
