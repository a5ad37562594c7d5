// `npm start` as a newcomer runs it: the launcher as a program on an empty state directory, and once more on the same one. What it must
// print is written down here, so that a step that is left out is missed; what it must leave behind is nothing.
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { tellSeed } from '../support/share';
import { sometimes } from '../support/sometimes';
import { expectGone } from './support/stack';

const checkout = path.resolve(__dirname, '../..');
const limitMs = 420_000;
tellSeed();
let state: string;

beforeAll(async () => { state = await mkdtemp(path.join(tmpdir(), 'hf-e2e-')); });
afterAll(async () => { await rm(state, { recursive: true, force: true }); });

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

function npmStart(): Promise<Ended> {
  const child = spawn(process.execPath, [path.join(checkout, 'dev', 'start.mjs'), '--state', state, '--ports', 'free'], { cwd: tmpdir(), stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => done({ code, output: Buffer.concat(chunks).toString('utf8') }));
  });
}

/** The steps in the order in which they are promised; phases that may pass between two looks at the progress are left out. */
const steps = [
  /starting Temporal, PostgreSQL, the lab and the workers/,
  /writing 64 MiB of marker files/,
  /backing up demo/,
  /^ .* {2}copy: demo_Disk1 /m,
  /backup [0-9a-f-]{36} is sealed: \d+ MiB of data in 3072 MiB of disks, .*\d+ MiB\/s, consistency \w+/,
  /the guest wrote [1-9]\d* rounds of files meanwhile/,
  /qemu-img alone: 2 images pass the check and convert to the same bytes; transport (san|socket), (san|socket)/,
  /the catalog's backups were deleted and rebuilt from the manifests: \d+ indexed, 0 unreadable/,
  /stopping demo/,
  /restoring it as demo-restored, from nothing but the repository/,
  /re-read from the targets, every digest equals the manifest's/,
  /inside demo-restored: 16 marker files \(64 MiB\) with equal checksums, nothing that was written later/,
  /nothing is left of run [0-9a-f-]{36} nor of [0-9a-f-]{36}/,
  /Temporal UI: http:\/\/127\.0\.0\.1:\d+/,
  /stopping what was started/,
] as const;

function expectSteps({ code, output }: Ended): void {
  expect({ code, output }).toEqual({ code: 0, output: expect.any(String) as string });
  let rest = output;
  for (const step of steps) {
    const found = step.exec(rest);
    if (!found) throw new Error(`the step ${String(step)} is missing, or comes too early, in:\n${output}`);
    rest = rest.slice(found.index + found[0].length);
  }
}

const sealedBackups = async (): Promise<number> => {
  const vms = path.join(state, 'repository', 'vms');
  const names = await readdir(vms);
  return (await Promise.all(names.map((vm) => readdir(path.join(vms, vm))))).flat().length;
};

test('ends with exit 0 on an empty state directory, having printed every step', async () => {
  expectSteps(await npmStart());
  expect(await sealedBackups()).toBe(1);
  await expectGone(state);
}, limitMs);

sometimes('works again on what the first start left, removes its demo-restored and keeps its backup', async () => {
  const again = await npmStart();
  expectSteps(again);
  expect(again.output).toMatch(/removing demo-restored of an earlier start/);
  expect(again.output).toMatch(/manifests: 2 indexed/);
  expect(await sealedBackups()).toBe(2);
  await expectGone(state);
}, limitMs);
