// An ISV's program in another language, on the real system: it has Temporal's Python SDK and the published schemas, and nothing of ours.
// What it prints is checked once more against those schemas, by another validator than its own.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import Ajv2020 from 'ajv/dist/2020';
import type { BackupHandle } from '../../client';
import { useStack, type Stack } from '../e2e/support/stack';
import { runPython } from '../support/python';

const schemas = path.resolve(__dirname, '../../docs/schema');
const program = path.join(__dirname, 'start_backup.py');
const limitMs = 180_000;
const stackOf = useStack();

type Json = Readonly<Record<string, unknown>>;

interface Printed {
  readonly workflowId: string;
  readonly paused: Json;
  readonly limit: Json;
  readonly copying: Json;
  readonly result: { readonly runId: string; readonly backup: Json };
  readonly failure: {
    readonly code: string;
    readonly message: string;
    readonly details: { readonly reasons: readonly { readonly code: string }[] };
  };
  readonly problems: readonly string[];
}

const published = (file: string): unknown => JSON.parse(readFileSync(path.join(schemas, file), 'utf8'));
const { output } = published('backupVm.json') as { output: Json };
const messages = published('messages.json') as {
  queries: { progress: { result: Json } };
  failure: { types: readonly string[]; firstDetail: Json };
};

/** Violations, so that a failing test names them. */
function violations(schema: Json, value: unknown): readonly string[] {
  const validate = new Ajv2020({ strict: false, allErrors: true }).compile(schema);
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`);
}

async function startBackup(stack: Stack, request: Json): Promise<{ code: number; printed: Printed }> {
  const { parts, engine, client } = stack;
  const { code, out, err } = await runPython(program, [parts.temporal.address, parts.temporal.namespace, schemas, JSON.stringify(request)]);
  // Whatever became of the program, its run has ended before the next test begins.
  const run = await client.attach(`vm/${engine}/${String(request['vmId'])}`).catch(() => undefined);
  if (run) stack.track(run as BackupHandle);
  try {
    return { code, printed: JSON.parse(out) as Printed };
  } catch (cause) {
    throw new Error(`start_backup.py printed no JSON:\n${out}${err}`, { cause });
  }
}

test(
  'Python starts a backup, reads its progress, pauses, limits and resumes it, and reads its result',
  async () => {
    const stack = stackOf();
    const demo = await stack.client.resolveVm(stack.engine, 'demo');
    const { code, printed } = await startBackup(stack, { engine: stack.engine, vmId: demo.id, repository: stack.repository });
    expect({ code, printed }).toEqual({
      code: 0,
      printed: expect.objectContaining({ workflowId: `vm/${stack.engine}/${demo.id}` }) as unknown,
    });

    for (const progress of [printed.paused, printed.copying]) {
      expect(violations(messages.queries.progress.result, progress)).toEqual([]);
      expect(progress).toMatchObject({ vmId: demo.id, vmName: 'demo', runId: printed.result.runId, warnings: [], leftovers: [] });
    }
    expect(printed.paused).toMatchObject({
      phase: 'copy',
      paused: true,
      bandwidthBytesPerSecond: null,
      disks: [{ alias: 'demo_Disk1' }, { alias: 'demo_Disk2' }],
    });
    expect(violations(messages.queries.progress.result, { ...printed.paused, phase: 'nowhere', disks: undefined })).toHaveLength(2);
    expect(printed.limit).toEqual({ bytesPerSecond: 8_388_608 });
    expect(printed.copying).toMatchObject({ phase: 'copy', paused: false, bandwidthBytesPerSecond: 8_388_608 });

    expect(violations(output, printed.result)).toEqual([]);
    const { backups } = await stack.client.listBackups({ engine: stack.engine, vmId: demo.id });
    expect(backups.filter(({ backupId }) => backupId === printed.result.backup['backupId'])).toEqual([{ ...printed.result.backup, verification: null }]);
  },
  limitMs,
);

test(
  'Python reads why a backup was refused',
  async () => {
    const stack = stackOf();
    const { code, printed } = await startBackup(stack, { engine: stack.engine, vmId: stack.applianceId, repository: stack.repository });
    expect(code).toBe(1);
    expect(messages.failure.types).toContain(printed.failure.code);
    expect(violations(messages.failure.firstDetail, printed.failure.details)).toEqual([]);
    expect(printed.failure.code).toBe('plan.refused');
    expect(printed.failure.details.reasons.map((reason) => reason.code)).toContain('appliance.is-the-vm');
  },
  limitMs,
);

test(
  'the schema refuses a wrong request before anything is started',
  async () => {
    const stack = stackOf();
    const runs = await stack.client.listRuns({ engine: stack.engine });
    const { code, printed } = await startBackup(stack, {
      engine: 'The Lab',
      vmId: 'demo',
      repositry: stack.repository,
      bandwidthBytesPerSecond: 1,
    });
    expect(code).toBe(2);
    // The object itself: one key too many, one too few.
    expect(printed.problems.map((problem) => problem.split(':')[0])).toEqual(['$.bandwidthBytesPerSecond', '$.engine', '$.vmId', '$', '$']);
    expect(await stack.client.listRuns({ engine: stack.engine })).toEqual(runs);
  },
  limitMs,
);
