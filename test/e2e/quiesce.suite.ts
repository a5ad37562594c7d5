// Guests that Holdfast freezes by itself, on real agents: what the guest's own hook traces, a writer in it that stands still then and only then,
// agents that are missing or slow, and the death of the worker in whose hands a guest is frozen.
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { BackupHandle, BackupVmOutput, BackupVmRequest, HoldfastRunError } from '../../client';
import { guestVm } from '../crash/guests';
import { LabFaults } from '../crash/lab-faults';
import { sometimes } from '../support/sometimes';
import { useStack, type Stack } from './support/stack';
import { slowFreeze } from './support/trouble';
import { ask, until, type TestVm } from './support/vms';

const limitMs = 120_000;
/** Promised from the moment on that a worker is alive. */
const thawLimitMs = 10_000;
const stackOf = useStack();
let stack: Stack;
let writing: TestVm;
let slow: TestVm;
let agentless: TestVm;

beforeAll(async () => {
  stack = stackOf();
  [writing, slow, agentless] = await Promise.all([guestVm(stack, 'writing'), guestVm(stack, 'slow'), guestVm(stack, 'agentless')]);
}, limitMs);

async function backUp({ id }: TestVm, request: Partial<BackupVmRequest>): Promise<BackupHandle> {
  return stack.track(await stack.client.backupVm({ engine: stack.engine, vmId: id, repository: stack.repository, explicitFreeze: true, ...request }));
}

const eventsSchema = z.object({ event: z.array(z.object({ id: z.string(), code: z.coerce.number(), time: z.coerce.number(), vm: z.object({ id: z.string() }).optional() })).default([]) });
/** Freezes, snapshots that are made, and thaws of the VM, oldest first. */
async function moments({ id }: TestVm): Promise<readonly { readonly code: number; readonly atMs: number }[]> {
  const search = encodeURIComponent('type=10767 or type=68 or type=10768');
  const { event } = eventsSchema.parse(await stack.lab.engine('GET', `/events?search=${search}&max=100`));
  return event.filter(({ vm }) => vm?.id === id).sort((a, b) => Number(a.id) - Number(b.id)).map(({ code, time }) => ({ code, atMs: time }));
}

/** Seconds of the guest's own clock. */
interface Trace {
  readonly hook: readonly { readonly what: string; readonly at: number }[];
  readonly beats: readonly number[];
}

/** The guest writes and syncs again and again, and writes down elsewhere when it could. Not without a pause: that costs a core as long as the VM is up. */
async function beginTrace({ id }: TestVm): Promise<void> {
  const now = 'cut -d" " -f1 /proc/uptime';
  await stack.lab.guest(id, `mkdir -p /run/fsfreeze-hook.d; printf '#!/bin/sh\\necho $1 $(${now}) >> /run/when\\n' > /run/fsfreeze-hook.d/when; chmod +x /run/fsfreeze-hook.d/when`);
  await stack.lab.guest(id, `(while [ ! -e /run/stop ]; do echo beat > /data/0/beat; sync; ${now} >> /run/beats; sleep 0.1; done) >/dev/null 2>&1 &`);
}

async function trace({ id }: TestVm): Promise<Trace> {
  const lines = async (file: string): Promise<readonly string[]> => (await stack.lab.guest(id, `cat ${file}; : > ${file}`)).trim().split('\n');
  const hook = (await lines('/run/when')).map((line) => line.split(' ')).map(([what = '', at]) => ({ what, at: Number(at) }));
  return { hook, beats: (await lines('/run/beats')).map(Number) };
}

function longestPause(beats: readonly number[]): { readonly from: number; readonly until: number } {
  const pauses = beats.slice(1).map((until, index) => ({ from: beats[index] ?? NaN, until }));
  return pauses.reduce((longest, each) => (each.until - each.from > longest.until - longest.from ? each : longest), { from: 0, until: 0 });
}

const failed = async (handle: BackupHandle): Promise<HoldfastRunError> => handle.result().then(() => Promise.reject(new Error('the backup was made')), (error: unknown) => error as HoldfastRunError);

/** A snapshot that takes its time, but comes in time: the guest can be watched while it stands still. */
async function whileWriting(): Promise<{ readonly output: BackupVmOutput; readonly trace: Trace }> {
  await beginTrace(writing);
  await sleep(500);
  const faults = await LabFaults.inject(stack, [{ kind: 'slow-snapshot', vmId: writing.id, seconds: 3 }]);
  try {
    const output = await (await backUp(writing, { quiesce: 'required', guestHook: true })).result();
    return { output, trace: await trace(writing) };
  } finally {
    await faults.release();
  }
}

async function withoutAgent(): Promise<{ readonly refused: HoldfastRunError; readonly output: BackupVmOutput }> {
  await stack.lab.guest(agentless.id, 'touch /run/no-agent; (sleep 0.2; killall qemu-ga) >/dev/null 2>&1 &');
  await sleep(500);
  const refused = await failed(await backUp(agentless, { method: 'transfer', quiesce: 'required' }));
  return { refused, output: await (await backUp(agentless, {})).result() };
}

async function withSlowHook(): Promise<BackupVmOutput> {
  await slowFreeze(stack, slow, 9);
  return (await backUp(slow, {})).result();
}

test('a guest stands still while its snapshot is made; one that cannot be frozen is crash-consistent, or the end where that is not enough', async () => {
  const [still, mute, late] = await Promise.all([whileWriting(), withoutAgent(), withSlowHook()]);

  expect(still.output).toMatchObject({ backup: { consistency: 'application' }, consistencyEvidence: expect.stringMatching(/^Holdfast froze the guest, and the snapshot was ok .* hook/) as string, warnings: [], leftovers: [] });
  expect((await moments(writing)).map(({ code }) => code)).toEqual([10767, 68, 10768]);
  const { hook, beats } = still.trace;
  const [freeze, thaw] = [hook.find(({ what }) => what === 'freeze')?.at ?? NaN, hook.find(({ what }) => what === 'thaw')?.at ?? NaN];
  expect(hook.map(({ what }) => what).join()).toMatch(/^freeze(?:,thaw)+$/);
  expect(thaw - freeze).toBeGreaterThan(2.5);
  // The hook comes before the freeze itself and after the thaw, and each takes a moment; in between the snapshot takes three seconds.
  const pause = longestPause(beats);
  expect(pause.until - pause.from).toBeGreaterThan(2);
  expect([pause.from < thaw, pause.until > freeze]).toEqual([true, true]);
  expect(beats.filter((at) => at < freeze).length).toBeGreaterThan(0);
  expect(beats.filter((at) => at >= thaw).length).toBeGreaterThan(0);

  expect(mute.refused).toMatchObject({ code: 'quiesce.failed', message: expect.stringContaining('could not freeze the guest') as string, details: { leftovers: [] } });
  expect(mute.output).toMatchObject({ backup: { consistency: 'crash' }, consistencyEvidence: expect.stringContaining('could not freeze the guest') as string, warnings: [], leftovers: [] });
  expect(late).toMatchObject({ backup: { consistency: 'crash' }, consistencyEvidence: 'the guest\'s agent did not answer the freeze within 8 s', warnings: [], leftovers: [] });
  await stack.lab.guest(slow.id, 'echo thawed > /data/0/thawed && sync', thawLimitMs);
}, limitMs);

test('and while a VM backup gets ready, whose host could not freeze it once more', async () => {
  await trace(writing);
  const output = await (await backUp(writing, { method: 'transfer', quiesce: 'required' })).result();
  expect(output).toMatchObject({ backup: { consistency: 'filesystem' }, consistencyEvidence: expect.stringMatching(/^Holdfast froze the guest, and the VM backup was ready/) as string, warnings: [], leftovers: [] });
  expect((await moments(writing)).slice(3).map(({ code }) => code)).toEqual([10767, 68, 10768]);
  expect((await trace(writing)).hook.map(({ what }) => what).join()).toMatch(/^freeze(?:,thaw)+$/);
}, limitMs);

sometimes('a worker that is killed while the guest stands still: thawed by the next one, and the backup says what is left of the evidence', async () => {
  const faults = await LabFaults.inject(stack, [{ kind: 'slow-snapshot', vmId: writing.id }]);
  stack.afterwards(() => faults.release());
  const worker = stack.parts.part('worker-control');
  const before = (await moments(writing)).length;
  const handle = await backUp(writing, { quiesce: 'best-effort' });
  await until('the guest is frozen', async () => (await moments(writing)).length > before);
  await until('its snapshot is asked for', async () => (await ask.snapshots(stack, writing.id)).length > 0, 5_000, 20);
  await worker.crash('SIGKILL');
  await worker.start();
  const aliveMs = Date.now();
  await stack.lab.guest(writing.id, 'echo thawed > /data/0/thawed && sync', thawLimitMs);
  expect(Date.now() - aliveMs).toBeLessThan(thawLimitMs);
  await faults.release();
  const output = await handle.result();
  expect(output).toMatchObject({ backup: { consistency: 'crash' }, consistencyEvidence: expect.stringContaining('the worker that had asked for the freeze is gone') as string, warnings: [], leftovers: [] });
}, limitMs);
