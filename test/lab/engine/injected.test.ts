// Walks the table of injected faults: each is asked for over the control socket, must do what it says to clients of the engine, and
// must count it. Without asking there is none.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { serveControl, type ControlServer } from '../../../lab/control/server';
import { faultyHost } from '../../../lab/engine/injected/faulty-host';
import { InjectedFaults } from '../../../lab/engine/injected/injected-faults';
import { noBackupHost, noDaemon } from '../../../lab/engine/no-data-side';
import { faultKinds, type FaultKind } from '../../../lab/engine/injected/kinds';
import { ControlClient } from './control-client';
import { FakeHost } from './fake-host';
import { Lab, newSnapshot } from './lab-client';
import { walks } from './provoke-faults';

const kinds = Object.keys(faultKinds) as FaultKind[];
let lab: Lab;
let server: ControlServer;
let control: ControlClient;
beforeEach(async () => {
  lab = await Lab.start();
  const socket = join(lab.directory, 'control.sock');
  server = await serveControl(socket, lab.engine);
  control = new ControlClient(socket);
});
afterEach(async () => {
  await server.close();
  await lab.remove();
});

test('no fault is active by itself', async () => {
  expect(await control.list()).toEqual([]);
});

test.each(kinds)('%s', async (kind) => {
  // A walk that releases its fault tells what the lab had counted until then.
  const counted = await walks[kind]({ lab, control });
  const listed = (await control.list()).find((fault) => fault.kind === kind);
  expect(counted).toBeGreaterThan(0);
  if (listed !== undefined) expect(listed.fired).toBe(counted);
  await control.ask('DELETE', '/faults');
  expect(await control.list()).toEqual([]);
});

test('a merge that outlives its engine tells it nothing any more', async () => {
  const inner = new FakeHost(lab.directory);
  let goOn = (): void => undefined;
  inner.merge = async (_vmId, _disk, onProgress) => {
    await new Promise<void>((resolve) => {
      goOn = resolve;
    });
    onProgress?.(50);
  };
  const { host, retire } = faultyHost(inner, { backups: noBackupHost, imageio: noDaemon }, new InjectedFaults());
  const volume = { domainId: 'domain', diskId: 'disk', volumeId: 'volume' };
  const told = jest.fn();
  const merging = host.merge('vm', { diskId: 'disk', base: volume, top: volume, topIsActive: true }, told);
  const retired = retire();
  goOn();
  await Promise.all([merging, retired]);
  expect(told).not.toHaveBeenCalled();
});

test('a fault that cannot happen or is not described is refused and not kept', async () => {
  const unknownId = '11111111-2222-4333-8444-555555555555';
  const vmId = await lab.vm('down');
  expect((await control.ask('POST', '/faults', { kind: 'gremlins' })).status).toBe(400);
  expect((await control.ask('POST', '/faults', { kind: 'conflict', call: { path: '/vms' }, tims: 3 })).status).toBe(400);
  expect((await control.ask('POST', '/faults', { kind: 'illegal-disk', diskId: unknownId })).status).toBe(404);
  expect((await control.ask('POST', '/faults', { kind: 'qemu-killed', vmId })).status).toBe(409);
  expect((await control.ask('DELETE', `/faults/${unknownId}`)).status).toBe(404);
  expect(await control.list()).toEqual([]);
});

test('a fault for one VM or one call leaves the others alone', async () => {
  const [mine, other] = [await lab.vmWithDisk('mine'), await lab.vmWithDisk('other')];
  await control.inject({ kind: 'merge-failure', vmId: mine.vmId });
  await control.inject({ kind: 'server-error', call: { method: 'DELETE', path: '/disks/*' }, status: 500 });
  const snapshotId = await lab.snapshot(other.vmId);
  await lab.xml('DELETE', `/vms/${other.vmId}/snapshots/${snapshotId}`);
  await lab.idle();
  expect((await lab.api('GET', `/vms/${other.vmId}/snapshots/${snapshotId}`)).status).toBe(404);
  expect((await control.list()).map(({ fired }) => fired)).toEqual([0, 0]);
});

test('sessions end at once or after a call; a restart at once drops locks and takes up what was going on', async () => {
  await control.inject({ kind: 'token-expiry' });
  expect((await lab.api('GET', '/vms')).status).toBe(401);
  lab.token = await lab.logIn('admin@internal');
  const { vmId } = await lab.vmWithDisk('held');
  await control.inject({ kind: 'slow-snapshot', seconds: 0.2 });
  await lab.post(`/vms/${vmId}/snapshots`, newSnapshot('held'));
  await control.inject({ kind: 'engine-restart' });
  expect((await lab.api('GET', '/vms')).status).toBe(401);
  lab.token = await lab.logIn('admin@internal');
  await lab.idle();
  expect((await control.state()).lockedSnapshots).toEqual([]);
});

test('the README lists every kind with what it does', () => {
  const readme = readFileSync(resolve(__dirname, '../../../lab/README.md'), 'utf8');
  for (const kind of kinds) expect(readme).toContain(`| \`${kind}\` |`);
});
