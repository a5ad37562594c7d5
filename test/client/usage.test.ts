// Arguments, help, configuration and exit codes: everything of the command that needs no server.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { exitCodeOf, exitCodes } from '../../client/cli/exit-codes';
import { buildProgram } from '../../client/cli/main';
import { processIo } from '../../client/cli/io';
import { resolveConfig, stateDirectories } from '../../client/config';
import { HoldfastCancelledError, HoldfastClientError, HoldfastRunError, runFailureDetailsSchema } from '../../client/errors';
import { failureRules } from '../../domain/failures';
import { temporaryDirectory } from '../support/temporary';
import { root, runCli } from './harness';

function leaves(command: Command, at: readonly string[] = []): readonly (readonly string[])[] {
  return command.commands.length === 0 ? [at] : command.commands.flatMap((each) => leaves(each, [...at, each.name()]));
}

const program = buildProgram({ io: processIo(root), exitWith: () => undefined }, '0');

describe('every command', () => {
  test.each(leaves(program).map((words) => [words.join(' '), words] as const))('%s has --json, and --help with an example', async (name, words) => {
    const { code, out } = await runCli([...words, '--help']);
    expect(code).toBe(0);
    expect(out).toContain(`Usage: holdfast ${name}`);
    expect(out).toMatch(new RegExp(`\nExample:\n {2}\\$ holdfast ${name}`));
    expect(out).toContain('--json');
  });
});

describe('wrong usage exits with 2 and says what is known', () => {
  test.each([[['backup'], 'Usage: holdfast backup'], [[], 'Usage: holdfast'], [['backup', 'vm'], 'missing required argument'], [['bakcup'], 'unknown command'], [['list', 'vms', '--nope'], 'unknown option'], [['list', 'vms', '--limit', 'many'], 'Give a whole number'], [['backup', 'vm', 'x', '--bandwidth', 'fast'], 'Give a size such as'], [['restore', 'vm', 'x'], 'A new VM needs a name: give --name once'], [['restore', 'vm', 'x', 'y', '--name', 'a'], 'give --name 2 times'], [['restore', 'vm', 'x', '--original', '--replace'], 'exclude each other'], [['restore', 'vm', 'x', 'y', '--original', '--vm', 'z'], 'each restore has its own'], [['restore', 'vm', 'x', '--name', 'a', '--network', 'lan'], 'Give it as <from>=<to>'], [['schema', 'nothing'], 'There is no schema "nothing"']])('%j', async (argv, text) => {
    const { code, out, err } = await runCli(argv);
    expect(code).toBe(2);
    expect(err).toContain(text);
    expect(out).toBe('');
  });

  test('--version is the package\'s', async () => {
    expect(await runCli(['--version'])).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string });
  });
});

describe('exit codes', () => {
  const run = { flow: 'backupVm', workflowId: 'vm/lab/x' };
  const details = runFailureDetailsSchema.parse({});

  test('are unique', () => {
    const numbers = Object.values(exitCodes).map(({ code }) => code);
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  test.each([
    ['plan.refused', 3], ['input.invalid', 2], ['backup.not-found', 6], ['catalog.conflict', 7], ['repository.full', 1], ['run.terminated', 1],
    ['unexpected', 1], ['config.invalid', 1], ['engine.not-found', 1],
  ])('a run that fails with %s gives %d', (code, exit) => expect(exitCodeOf(new HoldfastRunError(run, code, '', details))).toBe(exit));

  test('an unknown VM, asked for by name, is "not found"', () => {
    expect(exitCodeOf(new HoldfastRunError({ ...run, flow: 'findVms' }, 'engine.not-found', '', details))).toBe(6);
  });

  test('cancelled, client\'s own, and what nobody foresaw', () => {
    expect(exitCodeOf(new HoldfastCancelledError(run, '', details))).toBe(4);
    expect(exitCodeOf(new HoldfastClientError('client.already-running', ''))).toBe(7);
    expect(exitCodeOf(new HoldfastClientError('client.no-answer', ''))).toBe(8);
    expect(exitCodeOf(new TypeError('x'))).toBe(1);
  });

  test('no code of a failed run is taken for success or for a detached watch', () => {
    for (const code of Object.keys(failureRules)) expect([0, 130]).not.toContain(exitCodeOf(new HoldfastRunError(run, code, '', details)));
  });
});

describe('where Temporal is', () => {
  const state = temporaryDirectory('state');
  const parts = { launcherPid: 1, temporal: { address: '127.0.0.1:1111', namespace: 'embedded', uiUrl: 'http://127.0.0.1:2222' }, lab: { name: 'lab', url: 'x' }, repository: { name: 'main', path: '/x' } };
  writeFileSync(path.join(state, 'parts.json'), JSON.stringify(parts));

  test('flag, then variable, then the embedded parts, then the default', () => {
    expect(resolveConfig({ address: 'a:1' }, { HOLDFAST_TEMPORAL_ADDRESS: 'b:1' }, [state])).toMatchObject({ address: 'a:1', addressFrom: '--address', namespace: 'default', engine: undefined });
    expect(resolveConfig({}, { HOLDFAST_TEMPORAL_ADDRESS: 'b:1' }, [state])).toMatchObject({ address: 'b:1', uiUrl: undefined });
    expect(resolveConfig({}, {}, [state])).toEqual({ address: '127.0.0.1:1111', addressFrom: path.join(state, 'parts.json'), namespace: 'embedded', uiUrl: 'http://127.0.0.1:2222', engine: 'lab', repository: 'main' });
    expect(resolveConfig({}, {}, [])).toMatchObject({ address: '127.0.0.1:7233', namespace: 'default' });
  });

  test('flags and variables win over the embedded parts one by one', () => {
    expect(resolveConfig({ engine: 'prod' }, { HOLDFAST_REPOSITORY: 'vault', HOLDFAST_TEMPORAL_NAMESPACE: '' }, [state])).toMatchObject({ engine: 'prod', repository: 'vault', namespace: 'embedded' });
  });

  test('a named state directory is the only one looked at', () => {
    expect(stateDirectories({ HOLDFAST_STATE: 'trial' }, '/here', '/program')).toEqual(['/here/trial']);
    expect(stateDirectories({}, '/here', '/program')).toEqual(['/here/.state', '/program/.state']);
  });

  test('a damaged file is named', async () => {
    const damaged = temporaryDirectory('state');
    writeFileSync(path.join(damaged, 'parts.json'), '{');
    const run = await runCli(['list', 'runs'], { environment: { HOLDFAST_STATE: damaged } });
    expect(run.code).toBe(2);
    expect(run.err).toContain(path.join(damaged, 'parts.json'));
  });
});

describe('up', () => {
  function programWith(script: string): string {
    const directory = temporaryDirectory('up');
    mkdirSync(path.join(directory, 'dev'));
    writeFileSync(path.join(directory, 'package.json'), '{"version":"0.0.0"}');
    writeFileSync(path.join(directory, 'dev', 'up.mjs'), script);
    return directory;
  }

  test('hands its arguments to dev/up.mjs and exits as it does', async () => {
    const programRoot = programWith('console.log(JSON.stringify(process.argv.slice(2))); process.exit(7)');
    const run = await runCli(['up', '--ports', 'free', '--state', 'trial'], { programRoot, cwd: '/here' });
    expect(run.code).toBe(7);
    expect(JSON.parse(run.out)).toEqual(['--state', '/here/trial', '--ports', 'free']);
  });

  test('--json prints the addresses once this launcher has written them, and nothing else on stdout', async () => {
    const state = temporaryDirectory('state');
    const write = (pid: string): string => `fs.writeFileSync(${JSON.stringify(path.join(state, 'parts.json'))}, JSON.stringify({ launcherPid: ${pid}, temporal: { address: 'a:1', namespace: 'n' } }));`;
    const programRoot = programWith(`import fs from 'node:fs'; console.log('starting'); ${write('1')} setTimeout(() => { ${write('process.pid')} }, 500); setTimeout(() => process.exit(0), 3000);`);
    const run = await runCli(['up', '--json', '--state', state], { programRoot });
    expect(run).toMatchObject({ code: 0, err: 'starting\n' });
    expect(JSON.parse(run.out)).toMatchObject({ launcherPid: expect.any(Number) as number, temporal: { address: 'a:1' } });
    expect((JSON.parse(run.out) as { launcherPid: number }).launcherPid).not.toBe(1);
  });

  test('says so when the embedded parts are not here', async () => {
    const bare = temporaryDirectory('bare');
    writeFileSync(path.join(bare, 'package.json'), '{"version":"0.0.0"}');
    expect(await runCli(['up'], { programRoot: bare })).toMatchObject({ code: 2, err: expect.stringContaining('dev/up.mjs is missing') as string });
  });
});
