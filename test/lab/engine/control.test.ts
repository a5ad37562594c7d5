// The lab's own control port: what tests may do and see that no oVirt would let them.
import { request } from 'node:http';
import { join } from 'node:path';
import { serveControl, type ControlServer } from '../../../lab/control/server';
import { Lab, newSnapshot } from './lab-client';

let lab: Lab;
let control: ControlServer;
beforeAll(async () => {
  lab = await Lab.start();
  control = await serveControl(join(lab.directory, 'control.sock'), lab.engine);
});
afterAll(async () => {
  await control.close();
  await lab.remove();
});

function ask(method: string, path: string, body?: object): Promise<{ status: number; json: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: join(lab.directory, 'control.sock'), method, path }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, json: JSON.parse(text) as Record<string, unknown> });
      });
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

test('guest-exec reaches the guest; a VM that is down is a 409, a bad body a 400', async () => {
  const vmId = await lab.vm('guest');
  expect((await ask('POST', `/vms/${vmId}/guest-exec`, { script: 'true' })).status).toBe(409);
  await lab.start(vmId);
  expect(await ask('POST', `/vms/${vmId}/guest-exec`, { script: 'echo hi' })).toEqual({
    status: 200,
    json: { exitCode: 0, output: 'echo hi' },
  });
  expect((await ask('POST', `/vms/${vmId}/guest-exec`, { scripd: 'true' })).status).toBe(400);
});

test('sessions/expire ends every token at once', async () => {
  await ask('POST', '/sessions/expire');
  expect((await lab.api('GET', '/vms')).status).toBe(401);
  lab.token = await lab.logIn('admin@internal');
  expect((await lab.api('GET', '/vms')).status).toBe(200);
});

test('state tells what is held and is empty afterwards', async () => {
  const { vmId } = await lab.vmWithDisk('held');
  const release = lab.host.hold('snapshot');
  await lab.post(`/vms/${vmId}/snapshots`, newSnapshot('held'));
  expect((await ask('GET', '/state')).json).toMatchObject({
    locks: [{ holder: 'create snapshot', kind: 'VM', id: vmId }],
    operations: [{ kind: 'create-snapshot' }],
    lockedSnapshots: [{ vmId }],
    lockedDisks: [{ alias: 'held_Disk1' }],
  });
  release();
  await lab.idle();
  expect((await ask('GET', '/state')).json).toMatchObject({
    locks: [],
    operations: [],
    lockedSnapshots: [],
    lockedDisks: [],
    background: [],
  });
});
