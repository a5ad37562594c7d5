// The program in docs/isv.md, run as it stands: Python with `temporalio` and the published schema, against a real Temporal.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import * as library from '../../client';
import { temporaryDirectory } from '../support/temporary';
import { root, startStandIns } from './harness';
import type { StandIns } from './harness';
import { readText } from './published';
import { estate, vmNamed } from './stand-ins/estate';

const run = promisify(execFile);

/** The set-up's own environment: there already after `npm test` began, made otherwise. */
async function python(): Promise<string> {
  const script = "import { cacheDirectory } from './dev/setup/shell.mjs'; import { ensureVenv } from './dev/setup/venv.mjs'; console.log(await ensureVenv({ cacheDir: cacheDirectory(), say: () => {} }));";
  return (await run(process.execPath, ['--input-type=module', '-e', script], { cwd: root, timeout: 300_000 })).stdout.trim();
}

describe('the Python program of docs/isv.md', () => {
  let standIns: StandIns;
  let interpreter: string;
  const program = path.join(temporaryDirectory('isv'), 'backup.py');

  beforeAll(async () => {
    const [, code = ''] = /```python\n([\s\S]*?)```/.exec(readText('docs/isv.md')) ?? [];
    writeFileSync(program, code);
    [standIns, interpreter] = await Promise.all([startStandIns(), python()]);
  }, 360_000);

  afterAll(() => standIns.stop(), 60_000);

  async function backUp(vmId: string): Promise<string> {
    const request = { engine: 'lab', vmId, repository: 'main' };
    const schema = path.join(root, 'docs/schema/backupVm.json');
    return (await run(interpreter, [program, standIns.temporal.address, schema, JSON.stringify(request)], { timeout: 60_000 })).stdout;
  }

  test('starts a backup, reads its progress and its result', async () => {
    expect(await backUp(vmNamed('demo'))).toBe(`progress: copy ['demo_Disk1']\nbackup: ${estate.backupId}\n`);
  }, 90_000);

  test('reads a refusal, reason by reason', async () => {
    expect(await backUp(vmNamed('refused'))).toContain('failed: plan.refused\nreason: disk.locked Disk data1 is locked: wait for its task.\nreason: appliance.down Appliance app1 is down: start it.\n');
  }, 90_000);
});

test('the TypeScript program of docs/isv.md uses only what the library exports', () => {
  const [, code = ''] = /```typescript\n([\s\S]*?)```/.exec(readText('docs/isv.md')) ?? [];
  const [, names = ''] = /import \{ (.*) \} from 'holdfast'/.exec(code) ?? [];
  for (const name of names.split(', ')) expect([name, typeof (library as Record<string, unknown>)[name]]).toEqual([name, 'function']);
});
