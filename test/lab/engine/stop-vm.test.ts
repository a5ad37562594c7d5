// Stopping and shutting down: of whom, and what each does.
import { childText } from '../../../lab/engine/xml';
import { Lab } from './lab-client';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(async () => {
  await lab.remove();
});

const status = async (vmId: string): Promise<string | undefined> => childText(await lab.xml('GET', `/vms/${vmId}`), 'status');

test.each(['stop', 'shutdown'])('%s of a VM that is down is a success', async (action) => {
  const vmId = await lab.vm(`down-${action}`);
  expect((await lab.action(`/vms/${vmId}/${action}`)).status).toBe(200);
});

test('a guest that is up is asked to shut down, one that is paused is powered off', async () => {
  const vmId = await lab.vm('asked');
  await lab.start(vmId);
  expect((await lab.action(`/vms/${vmId}/shutdown?correlation_id=up-1`)).status).toBe(200);
  expect(await lab.eventCodes('up-1')).toEqual([73]);
  await lab.action(`/vms/${vmId}/stop`);
  await lab.start(vmId);
  lab.host.report(vmId, 'paused');
  expect((await lab.action(`/vms/${vmId}/shutdown?correlation_id=paused-1`)).status).toBe(200);
  expect([await status(vmId), await lab.eventCodes('paused-1')]).toEqual(['down', [33]]);
});
