// The documents against the code: tables that are generated, commands that parse, keys and links that exist.
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { clientErrorCodes, runEndCodes } from '../../client/errors';
import { exitCodes } from '../../client/cli/exit-codes';
import { processIo } from '../../client/cli/io';
import { buildProgram } from '../../client/cli/main';
import { clientVariables } from '../../client/config';
import { failureGuide } from '../../client/failure-guide';
import { flows } from '../../client/flows';
import { failureRules } from '../../domain/failures';
import { leftoverGuidance } from '../../domain/guidance';
import { phases } from '../../domain/flows/progress';
import { holdingKinds } from '../../domain/holdings';
import { reasonGuide } from '../../domain/reason-guide';
import { reasonCodes } from '../../domain/plan/reasons';
import { workerConfigSchema } from '../../worker/config';
import { searchAttributes } from '../../workflows/messages';
import { root } from './harness';
import { generatedBlock, markdownTable, readText } from './published';

const operators = 'docs/operators.md';
const documents = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...readdirSync(path.join(root, 'docs')).filter((file) => file.endsWith('.md')).map((file) => `docs/${file}`)];

/** What each reason is about, by the part before the dot. */
const reasonSubjects: Readonly<Record<string, string>> = { vm: 'the VM', disk: 'a disk of the VM', appliance: 'the appliance or its worker', repository: 'the repository', backup: 'the backup', name: 'the new VM\'s name', network: 'a network of a NIC', nic: 'a NIC', mac: 'a NIC\'s MAC address', cluster: 'the target cluster', domain: 'a target storage domain', quiesce: 'the demanded consistency', kind: 'the kind that is insisted on', engine: 'the engine\'s user' };

const reasonAbout = { method: 'the method', kind: 'the kind', disk: 'one disk, read in full', note: 'nothing else' } as const;

describe('tables in operators.md', () => {
  const guideRows = (codes: readonly (keyof typeof failureGuide)[]): readonly (readonly string[])[] => codes.map((code) => [`\`${code}\``, failureGuide[code].cause, failureGuide[code].remedy]);
  const retried = (code: keyof typeof failureRules): string => (failureRules[code].retry ? 'yes' : 'no');
  const codes = Object.keys(failureRules) as (keyof typeof failureRules)[];

  test.each([
    ['exit-codes', markdownTable(['code', 'meaning'], Object.values(exitCodes).map(({ code, meaning }) => [String(code), meaning]))],
    ['failure-codes', markdownTable(['code', 'retried', 'cause', 'what to do'], [...codes.map((code) => [`\`${code}\``, retried(code), failureGuide[code].cause, failureGuide[code].remedy]), ...runEndCodes.map((code) => [`\`${code}\``, 'no', failureGuide[code].cause, failureGuide[code].remedy])])],
    ['backup-reasons', markdownTable(['code', 'about', 'meaning', 'what to do'], Object.entries(reasonGuide).map(([code, { about, meaning, remedy }]) => [`\`${code}\``, reasonAbout[about], meaning, remedy]))],
    ['client-codes', markdownTable(['code', 'cause', 'what to do'], guideRows(clientErrorCodes))],
    ['leftovers', markdownTable(['kind', 'what it is', 'what to do'], Object.entries(leftoverGuidance).map(([kind, { what, remedy }]) => [`\`${kind}\``, what, remedy]))],
    ['reason-codes', markdownTable(['about', 'codes'], Object.entries(reasonSubjects).map(([prefix, about]) => [about, reasonCodes.filter((code) => code.startsWith(`${prefix}.`)).map((code) => `\`${code}\``).join(', ')]))],
  ])('%s is current', (name, current) => expect(generatedBlock(operators, name, current)).toBe(current));

  test('no reason is without a subject', () => {
    expect(reasonCodes.filter((code) => !((code.split('.')[0] ?? '') in reasonSubjects))).toEqual([]);
  });
});

describe('operators.md names', () => {
  const text = readText(operators);

  test('every key of the worker\'s configuration, and no other', () => {
    const documented = [...text.slice(text.indexOf('## Configuration'), text.indexOf('## The engine')).matchAll(/^\| `([A-Za-z.<>]+)` \|/gm)].map((match) => match[1]);
    expect(documented.sort()).toEqual([...keysOf(configurationSchema())].sort());
  });

  test('the configuration\'s defaults', () => {
    for (const [key, value] of defaultsOf(configurationSchema())) {
      expect(text).toMatch(new RegExp(`^\\| \`${key.replaceAll('.', '\\.')}\` \\| \`${value.replace(/[[\]/.]/g, '\\$&')}\` \\|`, 'm'));
    }
  });

  test('every variable of the client, with its meaning', () => {
    for (const [name, meaning] of Object.entries(clientVariables)) expect(text).toContain(`| \`${name}\` | ${meaning} |`);
  });

  test('every phase, search attribute and kind of leftover', () => {
    for (const word of [...phases, ...Object.values(searchAttributes).map((key) => key.name), ...holdingKinds, 'partial-backup']) expect(text).toContain(`\`${word}\``);
  });
});

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly default?: unknown;
}

function configurationSchema(): JsonSchema {
  return z.toJSONSchema(workerConfigSchema, { io: 'input' }) as JsonSchema;
}

/** Leaf keys with their path; a record's name is `<name>`; a secret (a union of references) is one key. */
function* keysOf(schema: JsonSchema, at = ''): Generator<string> {
  const inner = schema.properties ?? (typeof schema.additionalProperties === 'object' ? { '<name>': schema.additionalProperties } : undefined);
  if (!inner || schema.anyOf) {
    yield at;
    return;
  }
  for (const [key, value] of Object.entries(inner)) yield* keysOf(value, at === '' ? key : `${at}.${key}`);
}

function* defaultsOf(schema: JsonSchema, at = ''): Generator<readonly [string, string]> {
  const inner = schema.properties ?? (typeof schema.additionalProperties === 'object' ? { '<name>': schema.additionalProperties } : undefined);
  if (inner) for (const [key, value] of Object.entries(inner)) yield* defaultsOf(value, at === '' ? key : `${at}.${key}`);
  else if (schema.default !== undefined) yield [at, typeof schema.default === 'string' ? schema.default : JSON.stringify(schema.default)];
}

describe('every document', () => {
  test.each(documents)('%s links to what exists', (file) => {
    const text = readText(file);
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [linked = '', anchor] = target.split('#');
      const other = linked === '' ? file : path.join(path.dirname(file), linked);
      expect([target, existsSync(path.join(root, other))]).toEqual([target, true]);
      if (anchor !== undefined) expect([target, anchorsOf(readText(other))]).toEqual([target, expect.arrayContaining([anchor]) as unknown]);
    }
  });

  test.each(documents)('%s shows only commands that `holdfast` knows', (file) => {
    for (const [, line = ''] of readText(file).matchAll(/(?:^ {4}(?:npx )?|`)holdfast ([^`#\n]+)/gm)) expect([line, problemWith(line.trim().split(/\s+(?![^<]*>)/))]).toEqual([line, undefined]);
  });

  test.each(documents)('%s names only npm scripts that there are', (file) => {
    const { scripts } = JSON.parse(readText('package.json')) as { scripts: Record<string, string> };
    for (const [, name = ''] of readText(file).matchAll(/\bnpm run ([a-z]+)/g)) expect(Object.keys(scripts)).toContain(name);
  });
});

function anchorsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => title.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replace(/\s/g, '-'));
}

/** Walks the words down the tree of commands; flags must be known to the leaf. */
function problemWith(words: readonly string[]): string | undefined {
  let command: Command = buildProgram({ io: processIo(root), exitWith: () => undefined }, '0');
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word);
    if (next) command = next;
    else if (command.commands.length > 0 && !word.startsWith('-') && !word.startsWith('<')) return `no command ${word}`;
    else if (word.startsWith('--') && word !== '--help' && !command.options.some((option) => option.long === word)) return `no option ${word}`;
  }
  return undefined;
}

test('isv.md lists every flow with its id', () => {
  const text = readText('docs/isv.md');
  for (const [name, flow] of Object.entries(flows)) {
    const id = flow.workflowId.replace(/^((?:find|catalog)\/.*)<requestId>$/, '$1<fresh UUID>');
    expect(text).toContain(`| \`${name}\` | \`${id}\` |`);
  }
});

test('LICENSE is Apache 2.0, as package.json says', () => {
  expect(readText('LICENSE')).toMatch(/Apache License\s+Version 2\.0[\s\S]*END OF TERMS AND CONDITIONS/);
  expect(readText('package.json')).toContain('"license": "Apache-2.0"');
});
