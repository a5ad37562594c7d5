// Log lines about an activity carry run, VM and engine; no line carries a secret. And the version that goes into manifests.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { Context } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { activityLogAttributes } from '../../worker/logging';
import { version } from '../../worker/version';

interface Line {
  readonly message: string;
  readonly meta: Readonly<Record<string, unknown>>;
}

/** What an activity with this input logs when it says something itself. */
async function linesOf(input: unknown, workflowId: string): Promise<readonly Line[]> {
  const lines: Line[] = [];
  const keep = (_level: string, message: string, meta: object = {}): void => void lines.push({ message, meta: { ...meta } });
  const logger = { log: keep, trace: (m: string, o?: object) => keep('', m, o), debug: (m: string, o?: object) => keep('', m, o), info: (m: string, o?: object) => keep('', m, o), warn: (m: string, o?: object) => keep('', m, o), error: (m: string, o?: object) => keep('', m, o) };
  const environment = new MockActivityEnvironment({ workflowExecution: { workflowId, runId: 'temporal-run' } }, { logger, interceptors: [activityLogAttributes] });
  await environment.run((...given: readonly unknown[]) => {
    expect(given).toEqual([input]);
    Context.current().log.info('hello');
    return Promise.resolve();
  }, input);
  return lines.filter((line) => line.message === 'hello');
}

const [runId, vmId] = ['11111111-0000-4000-8000-000000000001', '22222222-0000-4000-8000-000000000002'];

test.each([
  ['everything in the input', { runId, engine: 'lab', vmId, diskId: 'd', backupId: 'b', repository: 'main' }, 'restore/x', { runId, engine: 'lab', vmId, diskId: 'd', backupId: 'b', repository: 'main' }],
  ['VM and engine from the lock that the workflow holds', { runId, repository: 'main' }, `vm/lab/${vmId}`, { runId, engine: 'lab', vmId, repository: 'main' }],
  ['the input before the lock', { engine: 'other', runId }, `vm/lab/${vmId}`, { engine: 'other', runId, vmId }],
  ['nothing of an activity without input', undefined, 'catalog/list/x', {}],
])('carries %s', async (_what, input, workflowId, expected) => {
  const [line] = await linesOf(input, workflowId);
  const ours = Object.fromEntries(Object.entries(line?.meta ?? {}).flatMap(([key, value]) => (key.startsWith('holdfast.') ? [[key.slice('holdfast.'.length), value]] : [])));
  expect(ours).toEqual(expected);
});

test('carries ids only: nothing else of an input reaches the log', async () => {
  const lines = await linesOf({ runId, password: 'hunter2', settings: { secret: 'hunter3' }, ovf: '<hunter4/>' }, 'vm/lab/x');
  expect(lines).toHaveLength(1);
  expect(JSON.stringify(lines)).not.toMatch(/hunter/);
});

test('a line is one JSON object on stderr, and what is called a password is not in it', () => {
  const script = "const { createLog } = require('./worker/logging'); const log = createLog('info'); log.info({ password: 'hunter2', engine: { password: 'hunter3', name: 'lab' } }, 'connected'); log.debug('not shown');";
  const hook = "require('@swc/core'); const { transformSync } = require('@swc/core'); require.extensions['.ts'] = (m, f) => m._compile(transformSync(require('fs').readFileSync(f, 'utf8'), { filename: f, jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } }).code, f);";
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', hook + script], { cwd: path.resolve(__dirname, '../..'), encoding: 'utf8', timeout: 30_000 });
  expect({ stdout, status }).toEqual({ stdout: '', status: 0 });
  const lines = stderr.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toEqual([expect.objectContaining({ msg: 'connected', engine: { name: 'lab', password: '[Redacted]' }, password: '[Redacted]' })]);
});

test('the version is the package\'s own', () => {
  expect(version).toBe((JSON.parse(readFileSync(path.resolve(__dirname, '../../package.json'), 'utf8')) as { version: string }).version);
});
