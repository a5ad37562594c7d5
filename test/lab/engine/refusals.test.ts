// Walks the table of refusals: every row is provoked over HTTP and must answer with its code and its text. A row
// without a provocation does not compile; a provocation whose rule is taken out fails.
import type { Refusal } from '../../../lab/engine/refusal';
import { refusals, type RefusalKey } from '../../../lab/engine/refusals';
import { child, childText, parseXml } from '../../../lab/engine/xml';
import type { backupRefusals } from '../../../lab/engine/refusals-backups';
import type { diskRefusals } from '../../../lab/engine/refusals-disks';
import type { snapshotRefusals } from '../../../lab/engine/refusals-snapshots';
import type { permissionRefusals } from '../../../lab/engine/refusals-permissions';
import type { vmRefusals } from '../../../lab/engine/refusals-vms';
import { attachment, newSnapshot, Lab } from './lab-client';
import type { Provocation, Provocations } from './provocation';
import { backupProvocations } from './provoke-backups';
import { diskProvocations, put } from './provoke-disks';
import { snapshotProvocations } from './provoke-snapshots';
import { permissionProvocations } from './provoke-permissions';
import { vmProvocations } from './provoke-vms';

const lockProvocations: Provocations<
  Omit<typeof refusals, keyof typeof snapshotRefusals | keyof typeof diskRefusals | keyof typeof vmRefusals | keyof typeof backupRefusals | keyof typeof permissionRefusals>
> = {
  'lock/create-snapshot': async (lab) => {
    const { vmId } = await lab.vmWithDisk('a');
    lab.host.hold('snapshot');
    await lab.post(`/vms/${vmId}/snapshots`, newSnapshot('one'));
    return lab.api('POST', `/vms/${vmId}/snapshots`, { body: newSnapshot('two') });
  },
  'lock/related-operation': async (lab) => {
    const vmId = await lab.vm('a');
    lab.host.hold('startVm');
    await lab.action(`/vms/${vmId}/start`);
    return lab.api('POST', `/vms/${vmId}/snapshots`, { body: newSnapshot('s') });
  },
  'lock/hot-plug-disk': async (lab) => {
    const { vmId, diskId, release } = await hotPlug(lab);
    const reply = await lab.api('DELETE', `/vms/${vmId}/diskattachments/${diskId}?detach_only=false`);
    release();
    return reply;
  },
  'lock/hot-plug-vm': async (lab) => {
    const { vmId, release } = await hotPlug(lab);
    const reply = await lab.api('POST', `/vms/${vmId}/snapshots`, { body: newSnapshot('s') });
    release();
    return reply;
  },
  'lock/remove-disk': async (lab) => {
    const diskId = await lab.disk('d');
    const vmId = await lab.vm('a');
    lab.host.hold('removeDisk');
    await lab.api('DELETE', `/disks/${diskId}`);
    return lab.api('POST', `/vms/${vmId}/diskattachments`, { body: attachment(diskId) });
  },
};

/** An attached disk on its way into a running VM. */
async function hotPlug(lab: Lab): Promise<{ vmId: string; diskId: string; release: () => void }> {
  const vmId = await lab.vm('a');
  const diskId = await lab.disk('d');
  await lab.attach(vmId, diskId, '<active>false</active>');
  await lab.start(vmId);
  const open = lab.host.hold('plugDisk');
  const pending = put(lab, vmId, diskId, true);
  while (lab.engine.context.locks.list().length === 0)
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  return {
    vmId,
    diskId,
    release: () => {
      open();
      void pending;
    },
  };
}

const provocations: Readonly<Record<RefusalKey, Provocation>> = {
  ...lockProvocations,
  ...snapshotProvocations,
  ...diskProvocations,
  ...vmProvocations,
  ...backupProvocations,
  ...permissionProvocations,
};

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.start();
});
afterEach(async () => {
  await lab.remove();
});

test.each(Object.keys(refusals) as RefusalKey[])('%s', async (key) => {
  const row: Refusal = refusals[key];
  const reply = await provocations[key](lab);
  const document = parseXml(reply.text);
  const fault = document.name === 'action' ? child(document, 'fault') : document;
  expect([reply.status, fault && childText(fault, 'reason')]).toEqual([row.http, 'Operation Failed']);
  expect((fault && childText(fault, 'detail')) ?? '').toMatch(pattern(row));
});

/** The row's text, anchored, with anything but nothing in the place of a parameter. */
function pattern({ text }: Refusal): RegExp {
  const escaped = text
    .split(/\{\w+\}/)
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.+');
  return new RegExp(`^\\[${escaped}\\]$`, 's');
}

test('every row names its source', () => {
  for (const row of Object.values<Refusal>(refusals)) expect(row.source).not.toBe('');
});
