// The published interface: current, complete, and meaning the same to a JSON Schema validator as to the flows' own check.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import Ajv2020 from 'ajv/dist/2020';
import fc from 'fast-check';
import { flows } from '../../client/flows';
import { publishedFiles, publishedFlow, publishedMessages } from '../../client/schema';
import { restoreVmInputSchema } from '../../domain/flows/restore-vm';
import { root, runCli } from './harness';
import { committed } from './published';

const id = '11111111-0000-4000-8000-111111111111';

function validator(schema: unknown): (value: unknown) => boolean {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
  const validate = ajv.compile(schema as Record<string, unknown>);
  return (value) => validate(value);
}

describe('docs/schema', () => {
  test.each(Object.entries(publishedFiles()))('%s is current', (file, document) => {
    const current = `${JSON.stringify(document, undefined, 2)}\n`;
    expect(committed(`docs/schema/${file}`, current)).toBe(current);
  });

  test('has nothing else', () => {
    expect(readdirSync(path.join(root, 'docs/schema')).sort()).toEqual(Object.keys(publishedFiles()).sort());
  });

  test('uses no pattern that Python\'s `re` cannot read', () => {
    expect(JSON.stringify(publishedFiles())).not.toContain('\\\\p{');
  });
});

describe('every flow', () => {
  test.each(Object.keys(flows) as (keyof typeof flows)[])('%s says how to start it, in valid JSON Schema', (name) => {
    const document = publishedFlow(name);
    expect(document).toMatchObject({ workflowType: name, taskQueue: 'holdfast', workflowIdConflictPolicy: 'FAIL', workflowId: expect.stringContaining('<') as string });
    for (const schema of [document['input'], document['output']]) expect(() => validator(schema)).not.toThrow();
  });
});

describe('the input of backupVm', () => {
  const accepts = validator(publishedFlow('backupVm')['input']);
  const request = { engine: 'lab', vmId: id, repository: 'main' };

  test.each([
    ['the least', request, true],
    ['all of it', { ...request, method: 'appliance', kind: 'full', applianceId: id, quiesce: 'off', leaveOutDiskIds: [id], bandwidthBytesPerSecond: 65_536 }, true],
    ['all of it by transfer', { ...request, method: 'transfer', kind: 'differential', strict: true, witness: { every: 3 } }, true],
    ['a choice left open', { ...request, method: 'auto', kind: 'auto', witness: 'never' }, true],
    ['a witness every none', { ...request, method: 'transfer', witness: { every: 0 } }, false],
    ['a kind that there is none of', { ...request, kind: 'half' }, false],
    ['a missing field', { engine: 'lab', vmId: id }, false],
    ['a field that is not there', { ...request, vm: 'demo' }, false],
    ['an id in capitals', { ...request, vmId: 'ABCDEF00-0000-4000-8000-111111111111' }, false],
    ['an unknown method', { ...request, method: 'telepathy' }, false],
    ['a limit below the least', { ...request, bandwidthBytesPerSecond: 1 }, false],
  ])('%s: %j', (_what, value, valid) => {
    expect(accepts(value)).toBe(valid);
    expect(flows.backupVm.input.safeParse(value).success).toBe(valid);
  });
});

test('a VM name that restoreVm takes is never refused by the published, portable pattern', () => {
  const accepts = validator(publishedFlow('restoreVm')['input']);
  const request = { engine: 'lab', repository: 'main', backupId: id, requestId: id };
  fc.assert(fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }), (name) => {
    if (restoreVmInputSchema.safeParse({ ...request, name }).success) expect(accepts({ ...request, name })).toBe(true);
  }), { numRuns: 2000 });
  for (const name of ['demo-restored', 'vm_1.2+3', 'Übung', '数据库']) expect([name, accepts({ ...request, name })]).toEqual([name, true]);
  for (const name of ['', 'a b', 'a/b', 'a<b', 'a^b', 'a\nb', 'x'.repeat(256)]) expect([name, accepts({ ...request, name })]).toEqual([name, false]);
});

test('messages have their schemas by wire name', () => {
  const messages = publishedMessages() as { queries: Record<string, { result: unknown }>; signals: object; updates: Record<string, { arguments: unknown[] }>; failure: { types: string[]; firstDetail: unknown } };
  expect(Object.keys(messages.queries)).toEqual(['progress']);
  expect(Object.keys(messages.signals)).toEqual(['pause', 'resume', 'copyReport']);
  const bandwidth = validator(messages.updates['setBandwidth']?.arguments[0]);
  expect([bandwidth({ bytesPerSecond: null }), bandwidth({ bytesPerSecond: 70_000 }), bandwidth({ bytesPerSecond: 7 })]).toEqual([true, true, false]);
  expect(messages.failure.types).toContain('plan.refused');
  expect(validator(messages.failure.firstDetail)({ reasons: [{ code: 'disk.locked', object: id, text: 'locked' }], more: 1 })).toBe(true);
});

test('`holdfast schema` prints the same documents', async () => {
  expect(JSON.parse((await runCli(['schema'])).out)).toEqual(publishedFiles()['index.json']);
  expect(JSON.parse((await runCli(['schema', 'backupVm', '--json'])).out)).toEqual(publishedFlow('backupVm'));
});
