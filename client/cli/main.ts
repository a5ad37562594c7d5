#!/usr/bin/env node
// The command `holdfast`. `main` is a function of arguments and streams that gives the exit code, so that tests run the real thing; only the
// last lines touch the process.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Command, CommanderError } from 'commander';
import { addAlerts } from './commands/alerts';
import { addAwareness } from './commands/awareness';
import { addBackup } from './commands/backup';
import { addCatalog } from './commands/catalog';
import { addControl } from './commands/control';
import { addDoctor } from './commands/doctor';
import { addEngineBackupHook } from './commands/engine-backup-hook';
import { addHoldings } from './commands/holdings';
import { addList } from './commands/list';
import { addRestore } from './commands/restore';
import { addSchema } from './commands/schema';
import { addShow } from './commands/show';
import { addStatus } from './commands/status';
import { addUp } from './commands/up';
import { addVerify } from './commands/verify';
import { exitCodes } from './exit-codes';
import { processIo } from './io';
import type { Io } from './io';
import { printError } from './print-error';
import type { Host } from './session';

export function buildProgram(host: Host, version: string): Command {
  const program = new Command('holdfast')
    .description('Durable backup and restore for oVirt, OLVM and RHV, on Temporal')
    .version(version)
    .exitOverride()
    .configureOutput({ writeOut: host.io.out, writeErr: host.io.err, getOutHelpWidth: host.io.columns, getErrHelpWidth: host.io.columns, getOutHasColors: () => false, getErrHasColors: () => false })
    .showHelpAfterError('(--help tells more)')
    .addHelpText('after', '\nExample:\n  $ holdfast backup vm demo --engine lab --repository main\n\nExit codes: docs/operators.md, "Exit codes".');
  for (const add of [addUp, addBackup, addRestore, addVerify, addList, addShow, addStatus, addHoldings, addAwareness, addAlerts, addDoctor, addControl, addCatalog, addSchema, addEngineBackupHook]) add(program, host);
  return program;
}

/** @param argv arguments without node and script */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  let exitCode: number = exitCodes.ok.code;
  const program = buildProgram({ io, exitWith: (code) => (exitCode = code) }, versionOf(io.programRoot));
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) return printError(io, error, argv.includes('--json'));
    // Commander has said what is wrong. It exits with 0 only when help or version was asked for.
    return error.exitCode === 0 ? exitCodes.ok.code : exitCodes.usage.code;
  }
}

function versionOf(programRoot: string): string {
  const parsed = JSON.parse(readFileSync(path.join(programRoot, 'package.json'), 'utf8')) as { readonly version?: unknown };
  return typeof parsed.version === 'string' ? parsed.version : 'unknown';
}

/** client/cli in a checkout, dist/client/cli in a build: package.json lies two or three levels up. */
function findProgramRoot(): string {
  const candidates = ['../..', '../../..'].map((up) => path.resolve(__dirname, up));
  return candidates.find((directory) => existsSync(path.join(directory, 'package.json'))) ?? __dirname;
}

if (require.main === module) {
  // exitCode instead of exit: what is still to be written gets out.
  main(process.argv.slice(2), processIo(findProgramRoot())).then(
    (code) => (process.exitCode = code),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exitCode = exitCodes.failed.code;
    },
  );
}
