// Over the real host: two VMs from the demo's template run on one volume at a time, a snapshot comes and goes above it, an injected
// restart of the engine meets a running guest, and a killed QEMU is seen.
import { childText, parseXml, type XmlNode } from '../../../lab/engine/xml';
import { inject } from '../../../lab/engine/injected/sudden';
import { newSnapshot, send } from './lab-client';
import { realLabDeadlineMs, startRealLab, until, type RealLab } from './real-lab';

let lab: RealLab;
beforeAll(async () => {
  lab = await startRealLab();
}, realLabDeadlineMs);
afterAll(async () => {
  await lab.remove();
});

async function api(method: string, path: string, body?: string): Promise<{ status: number; node: XmlNode }> {
  const [admin] = lab.engine.accounts;
  const authorization = `Basic ${Buffer.from(`${admin?.userName ?? ''}:${admin?.password ?? ''}`).toString('base64')}`;
  const reply = await send(method, `${lab.engine.url}${path}`, lab.engine.caFile, {
    ...(body === undefined ? {} : { body }),
    headers: { Authorization: authorization, 'Content-Type': 'application/xml' },
  });
  return { status: reply.status, node: reply.text === '' ? { name: '', attributes: {}, children: [], text: '' } : parseXml(reply.text) };
}

async function status(vmId: string): Promise<string | undefined> {
  return childText((await api('GET', `/vms/${vmId}`)).node, 'status');
}

async function startedVm(name: string): Promise<string> {
  const body = `<vm><name>${name}</name><cluster><name>Default</name></cluster><template><name>tiny-template</name></template></vm>`;
  const vmId = (await api('POST', '/vms', body)).node.attributes['id'] ?? '';
  await until(`${name} down`, async () => (await status(vmId)) === 'down');
  expect((await api('POST', `/vms/${vmId}/start`, '<action/>')).status).toBe(200);
  await until(`${name} up`, async () => (await status(vmId)) === 'up');
  return vmId;
}

async function inGuest(vmId: string, script: string): Promise<string> {
  const { exitCode, output } = await lab.host.guestExec(vmId, script);
  if (exitCode !== 0) throw new Error(`${script}: ${output}`);
  return output.trim();
}

test(
  'two guests share the template, each with writes of its own; snapshot, restart, merge, removal and a kill leave the other one whole',
  async () => {
    const [one, two] = [await startedVm('one'), await startedVm('two')];
    const digest = 'cat /data/0/data/* /data/0/text/* | sha256sum';
    const original = await inGuest(two, digest);
    expect(await inGuest(one, digest)).toBe(original);
    await inGuest(one, 'echo mine > /data/0/text/log-0.txt && sync');
    expect(await inGuest(two, digest)).toBe(original);

    const snapshotId = (await api('POST', `/vms/${one}/snapshots`, newSnapshot('above'))).node.attributes['id'] ?? '';
    const snapshot = async (): Promise<{ status: number; node: XmlNode }> => api('GET', `/vms/${one}/snapshots/${snapshotId}`);
    await until('the snapshot', async () => childText((await snapshot()).node, 'snapshot_status') === 'ok');
    await inGuest(one, 'echo later > /data/0/later && sync');
    expect((await api('DELETE', `/vms/${one}/snapshots/${snapshotId}`)).status).toBe(200);
    await inject(lab.engine.injected, lab.engine, { kind: 'engine-restart', downSeconds: 0 });
    await until('the merge', async () => (await snapshot()).status === 404);
    expect([await status(one), await inGuest(one, 'cat /data/0/text/log-0.txt /data/0/later')]).toEqual(['up', 'mine\nlater']);

    await inject(lab.engine.injected, lab.engine, { kind: 'qemu-killed', vmId: one });
    await until('the kill to be seen', async () => (await status(one)) === 'down');
    expect((await api('DELETE', `/vms/${one}`)).status).toBe(200);
    await until('the removal', async () => (await api('GET', `/vms/${one}`)).status === 404);
    expect(await inGuest(two, `echo 3 > /proc/sys/vm/drop_caches; ${digest}`)).toBe(original);
  },
  realLabDeadlineMs,
);
