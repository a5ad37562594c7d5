// The doctor's look at the hosts' data daemons, with the real daemon: which hosts are looked at, how those that are well are told in one
// line, and what is only a warning because an appliance is there.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { examineHosts } from '../../activities/doctor/hosts';
import type { DaemonSettings } from '../../activities/doctor';
import type { Host } from '../../adapters/ovirt/port';
import type { Check } from '../../domain/doctor/checks';
import { HoldfastError } from '../../domain/failures';
import { startRealDaemon, type RealDaemon } from '../adapters/imageio/real-daemon';

const clusterId = 'c0000000-0000-4000-8000-000000000001';
const outside = 'c0000000-0000-4000-8000-000000000002';
const monthMs = 30 * 24 * 3600 * 1000;

let directory: string;
let daemon: RealDaemon;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hf-hosts-'));
  daemon = await startRealDaemon(directory);
}, 120_000);
afterAll(async () => {
  await daemon.stop();
  await rm(directory, { recursive: true, force: true });
});

const host = (name: string, changes: Partial<Host> = {}): Host => ({ name, address: '127.0.0.1', status: 'up', clusterId, ...changes });
/** Nobody listens there. */
const dead = host('dead', { address: '127.0.0.2' });
const port = (): number => Number(new URL(daemon.url).port);

/** A month ago unless told otherwise: the daemon's certificate is valid for two days only. */
function examined(hosts: readonly Host[] | Error, { hasAppliance = false, nowMs = Date.now() - monthMs, ...settings }: Partial<DaemonSettings> & { readonly hasAppliance?: boolean; readonly nowMs?: number } = {}): Promise<readonly Check[]> {
  return examineHosts({ name: 'lab', applianceIds: hasAppliance ? ['an appliance'] : [] }, 'main', {
    version: 'test', now: () => new Date(nowMs),
    engineOf: () => ({
      listHosts: () => (hosts instanceof Error ? Promise.reject(hosts) : Promise.resolve(hosts)),
      listClusters: () => Promise.resolve([{ id: clusterId, name: 'Default', dataCenterId: outside }]),
    }),
    daemonsOf: () => ({ proxy: 'never', port: port(), caFile: daemon.caFile, ...settings }),
  });
}

test('hosts that are well are one line; those that are not up, or in no data center, are not looked at', async () => {
  const checks = await examined([host('one'), host('two'), host('resting', { status: 'maintenance', address: '127.0.0.2' }), host('elsewhere', { clusterId: outside, address: '127.0.0.2' })]);
  expect(checks).toEqual([expect.objectContaining({ id: 'host.data-daemon', object: 'hosts of lab, seen from repository main', verdict: 'ok', text: `2 answer: one (127.0.0.1:${port()}), two (127.0.0.1:${port()})`, remedy: '' })]);
});

test('one that is not is a line of its own, with its address and port and what to do', async () => {
  const [well, wrong, ...more] = await examined([host('one'), dead]);
  expect([well?.text, more]).toEqual([`answers: one (127.0.0.1:${port()})`, []]);
  expect(wrong).toMatchObject({
    object: 'host dead of lab, seen from repository main', verdict: 'problem', text: expect.stringMatching(/^dead \(127\.0\.0\.2:\d+\) cannot be reached: .*ECONNREFUSED.*; image transfers there fail$/) as string,
    remedy: expect.stringContaining(`TCP port ${port()} is open to the mover`) as string,
  });
});

test('with an appliance all of it is a warning; so is a host that is only out of reach, as long as there is the proxy', async () => {
  const verdicts = async (...input: Parameters<typeof examined>): Promise<readonly string[]> => (await examined(...input)).map(({ verdict }) => verdict);
  expect(await verdicts([dead], { hasAppliance: true })).toEqual(['warning']);
  expect(await examined([dead], { proxy: 'when-needed' })).toEqual([expect.objectContaining({ verdict: 'warning', text: expect.stringContaining('the engine\'s proxy') as string })]);
  expect(await verdicts([host('one')], { proxy: 'when-needed', caFile: daemon.otherCaFile })).toEqual(['problem']);
});

test('a certificate that ends soon is a warning before it is a failure', async () => {
  expect(await examined([host('one')], { nowMs: Date.now() })).toEqual([expect.objectContaining({ verdict: 'warning', text: expect.stringMatching(/its certificate ends in 1 days/) as string, remedy: expect.stringContaining('Enroll Certificate') as string })]);
});

test('no host, an engine that does not answer the mover, and one that its configuration does not have', async () => {
  expect(await examined([])).toEqual([expect.objectContaining({ verdict: 'problem', text: expect.stringContaining('no host') as string })]);
  const unknown = new HoldfastError('config.invalid', 'This worker\'s configuration has no engine "lab".');
  expect(await examined(unknown)).toEqual([expect.objectContaining({ verdict: 'problem', text: unknown.message, remedy: expect.stringContaining('mover\'s configuration') as string })]);
  expect(await examined(unknown, { hasAppliance: true })).toEqual([expect.objectContaining({ verdict: 'warning' })]);
});
