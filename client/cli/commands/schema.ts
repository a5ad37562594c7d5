// `holdfast schema`: the published interface as JSON Schema, for people who start flows from other languages. Needs no server.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { HoldfastClientError } from '../../errors';
import { publishedFiles } from '../../schema';
import { exitCodes } from '../exit-codes';
import { printError } from '../print-error';
import type { Host } from '../session';

interface SchemaOptions {
  readonly json?: boolean;
  readonly out?: string;
}

export function addSchema(program: Command, { io, exitWith }: Host): void {
  program
    .command('schema [name]')
    .description('print the published interface: the index, one flow, or "messages"')
    .option('--json', 'JSON on stdout (it always is)')
    .option('--out <directory>', 'write all documents into this directory instead')
    .addHelpText('after', '\nExample:\n  $ holdfast schema backupVm')
    .action((name: string | undefined, { json, out }: SchemaOptions) => {
      try {
        if (out !== undefined) io.err(`${writeFiles(path.resolve(io.cwd, out))} documents written to ${out}\n`);
        else io.out(render(documentNamed(name ?? 'index')));
        exitWith(exitCodes.ok.code);
      } catch (error) {
        exitWith(printError(io, error, json === true));
      }
    });
}

function documentNamed(name: string): object {
  const files = publishedFiles();
  const found = files[`${name}.json`];
  if (found) return found;
  const names = Object.keys(files).map((file) => path.basename(file, '.json'));
  throw new HoldfastClientError('input.invalid', `There is no schema "${name}". There are: ${names.join(', ')}.`, { name, names });
}

function writeFiles(directory: string): number {
  mkdirSync(directory, { recursive: true });
  const files = Object.entries(publishedFiles());
  for (const [file, document] of files) writeFileSync(path.join(directory, file), render(document));
  return files.length;
}

function render(document: object): string {
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
