// How each injected fault is asked for, and what it must then do, seen over HTTP. A kind without an entry does not compile.
import type { FaultKind } from '../../../lab/engine/injected/kinds';
import { childText, parseXml } from '../../../lab/engine/xml';
import type { ControlClient } from './control-client';
import { newSnapshot, type Lab, type Reply } from './lab-client';
import { backupWalks } from './provoke-faults-backups';

export interface Stage {
  readonly lab: Lab;
  readonly control: ControlClient;
}

/** Returns how often the fault must have fired by then. */
export type Walk = (stage: Stage) => Promise<number>;

export async function status(lab: Lab, path: string): Promise<string | undefined> {
  return childText(await lab.xml('GET', path), path.includes('/snapshots/') ? 'snapshot_status' : 'status');
}

function detail(reply: Reply): string | undefined {
  return childText(parseXml(reply.text), 'detail');
}

async function rows(lab: Lab, vmId: string): Promise<(string | undefined)[]> {
  return (await lab.xml('GET', `/vms/${vmId}/snapshots`)).children.map((row) => childText(row, 'description'));
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if (await holds()) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  throw new Error(`timed out waiting for ${what}`);
}

export const walks: Readonly<Record<FaultKind, Walk>> = {
  ...backupWalks,
  'lost-reply': async ({ lab, control }) => {
    const { vmId } = await lab.vmWithDisk('lost');
    await control.inject({ kind: 'lost-reply', call: { method: 'POST', path: '/vms/*/snapshots', nth: 2 } });
    await lab.snapshot(vmId, 'first');
    await expect(lab.post(`/vms/${vmId}/snapshots`, newSnapshot('second'))).rejects.toThrow(/hang up|ECONNRESET/);
    await lab.idle();
    expect(await rows(lab, vmId)).toEqual(['first', 'second', 'Active VM']);
    await lab.snapshot(vmId, 'third');
    return 1;
  },
  'server-error': async ({ lab, control }) => {
    await control.inject({ kind: 'server-error', call: { method: 'POST', path: '/vms' }, times: 2 });
    const body = '<vm><name>late</name><cluster><name>Default</name></cluster><template><name>Blank</name></template></vm>';
    for (let call = 0; call < 2; call += 1) {
      const reply = await lab.api('POST', '/vms', { body });
      expect([reply.status, reply.headers['content-type']]).toEqual([503, 'text/html;charset=UTF-8']);
    }
    expect((await lab.xml('GET', '/vms')).children).toHaveLength(0);
    expect((await lab.api('POST', '/vms', { body })).status).toBe(201);
    return 2;
  },
  conflict: async ({ lab, control }) => {
    const { vmId } = await lab.vmWithDisk('storm');
    await control.inject({ kind: 'conflict', call: { path: '/vms/*/snapshots', method: 'POST' }, seconds: 0.5 });
    let storm = 0;
    await until('the end of the storm', async () => {
      const reply = await lab.api('POST', `/vms/${vmId}/snapshots`, { body: newSnapshot('calm') });
      if (reply.status === 201) return true;
      storm += 1;
      expect([reply.status, detail(reply)]).toEqual([
        409,
        '[Cannot create Snapshot. Related operation is currently in progress. Please try again later.]',
      ]);
      return false;
    });
    expect(storm).toBeGreaterThan(1);
    await lab.idle();
    return storm;
  },
  'slow-snapshot': async ({ lab, control }) => {
    const { vmId } = await lab.vmWithDisk('slow');
    const other = await lab.vmWithDisk('quick');
    const id = await control.inject({ kind: 'slow-snapshot', vmId });
    const snapshotId = await lab.post(`/vms/${vmId}/snapshots`, newSnapshot('slow'));
    await lab.post(`/vms/${other.vmId}/snapshots`, newSnapshot('quick'));
    await until(
      'the other VM',
      async () => (await rows(lab, other.vmId)).length === 2 && (await control.state()).lockedSnapshots.length === 1,
    );
    expect(await status(lab, `/vms/${vmId}/snapshots/${snapshotId}`)).toBe('locked');
    const fired = await control.fired(id);
    await control.release(id);
    await lab.idle();
    expect(await status(lab, `/vms/${vmId}/snapshots/${snapshotId}`)).toBe('ok');
    return fired;
  },
  'merge-failure': async ({ lab, control }) => {
    const { vmId, diskId } = await lab.vmWithDisk('merge');
    await lab.start(vmId);
    const snapshotId = await lab.snapshot(vmId);
    await control.inject({ kind: 'merge-failure', vmId, illegal: true });
    await lab.xml('DELETE', `/vms/${vmId}/snapshots/${snapshotId}?correlation_id=merge-1`);
    await lab.idle();
    expect(await lab.eventCodes('merge-1')).toEqual([342, 359, 357]);
    expect([await status(lab, `/vms/${vmId}/snapshots/${snapshotId}`), await status(lab, `/disks/${diskId}`)]).toEqual(['ok', 'illegal']);
    await lab.xml('DELETE', `/vms/${vmId}/snapshots/${snapshotId}`);
    await lab.idle();
    expect([await rows(lab, vmId), await status(lab, `/disks/${diskId}`)]).toEqual([['Active VM'], 'ok']);
    return 1;
  },
  'token-expiry': async ({ lab, control }) => {
    await control.inject({ kind: 'token-expiry', everyCalls: 3 });
    for (const expected of [200, 200, 401]) expect((await lab.api('GET', '/vms')).status).toBe(expected);
    lab.token = await lab.logIn('admin@internal');
    for (const expected of [200, 200, 401]) expect((await lab.api('GET', '/vms')).status).toBe(expected);
    return 2;
  },
  'engine-restart': async ({ lab, control }) => {
    const { vmId } = await lab.vmWithDisk('restart');
    await lab.start(vmId);
    await control.inject({ kind: 'slow-snapshot' });
    const before = lab.origin;
    const snapshotId = await lab.post(`/vms/${vmId}/snapshots`, newSnapshot('over'));
    await control.inject({ kind: 'engine-restart', call: { method: 'POST', path: '/tags' } });
    await expect(lab.api('POST', '/tags', { body: '<tag><name>t</name></tag>' })).rejects.toThrow(/hang up|ECONNRESET/);
    await until('the engine', async () => (await lab.api('GET', '/vms').catch(() => ({ status: 0 }))).status === 401);
    lab.token = await lab.logIn('admin@internal');
    expect([lab.origin, (await lab.xml('GET', '/tags')).children.map((tag) => childText(tag, 'name'))]).toEqual([
      before,
      expect.arrayContaining(['t']),
    ]);
    expect(await status(lab, `/vms/${vmId}`)).toBe('up');
    expect(await status(lab, `/vms/${vmId}/snapshots/${snapshotId}`)).toBe('locked');
    for (const { kind, id } of await control.list()) if (kind === 'slow-snapshot') await control.release(id);
    await lab.idle();
    expect(await status(lab, `/vms/${vmId}/snapshots/${snapshotId}`)).toBe('ok');
    return 1;
  },
  'qemu-killed': async ({ lab, control }) => {
    const { vmId } = await lab.vmWithDisk('killed');
    await lab.start(vmId);
    await control.inject({ kind: 'qemu-killed', vmId });
    expect(await status(lab, `/vms/${vmId}`)).toBe('down');
    expect((await lab.api('GET', '/events?search=type%3D119')).text).toContain('VM killed is down with error');
    return 1;
  },
  'stuck-unplug': async ({ lab, control }) => {
    const { vmId, diskId } = await lab.vmWithDisk('source');
    const appliance = await lab.vm('appliance');
    await lab.start(appliance);
    const snapshotId = await lab.snapshot(vmId);
    await lab.attach(appliance, diskId, '<active>true</active>', snapshotId);
    const id = await control.inject({ kind: 'stuck-unplug', vmId: appliance });
    expect((await lab.api('DELETE', `/vms/${appliance}/diskattachments/${diskId}`)).status).toBe(200);
    expect((await lab.xml('GET', `/vms/${appliance}/diskattachments`)).children).toHaveLength(1);
    expect((await lab.api('DELETE', `/vms/${vmId}/snapshots/${snapshotId}`)).status).toBe(409);
    const fired = await control.fired(id);
    await control.release(id);
    await lab.idle();
    expect((await lab.xml('GET', `/vms/${appliance}/diskattachments`)).children).toHaveLength(0);
    return fired;
  },
  'illegal-disk': async ({ lab, control }) => {
    const { vmId, diskId } = await lab.vmWithDisk('broken');
    const id = await control.inject({ kind: 'illegal-disk', diskId });
    expect(await status(lab, `/disks/${diskId}`)).toBe('illegal');
    const refused = await lab.api('POST', `/vms/${vmId}/snapshots`, { body: newSnapshot('s') });
    expect([refused.status, detail(refused)]).toEqual([500, expect.stringContaining('ILLEGAL status: broken_Disk1')]);
    const fired = await control.fired(id);
    await control.release(id);
    expect(await status(lab, `/disks/${diskId}`)).toBe('ok');
    return fired;
  },
  'foreign-snapshot': async ({ lab, control }) => {
    const { vmId } = await lab.vmWithDisk('shared');
    await control.inject({ kind: 'foreign-snapshot', vmId, call: { method: 'POST', path: '/vms/*/snapshots' } });
    await lab.post(`/vms/${vmId}/snapshots`, newSnapshot('Holdfast backup of shared'));
    await lab.idle();
    expect(await rows(lab, vmId)).toEqual(['Holdfast backup of shared', 'Holdfast backup of something else', 'Active VM']);
    expect((await lab.api('GET', '/events?search=type%3D45')).text).toContain('otherbackup@internal');
    return 1;
  },
};
