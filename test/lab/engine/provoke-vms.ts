// How each VM, NIC, tag and event row of the refusal table is provoked. See refusals.test.ts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab, Reply } from './lab-client';
import { backupDomain, damage, lockedDisk, maintenance, merging, snapped } from './provoke-snapshots';
import { escapeXml } from '../../../lab/engine/xml';
import type { vmRefusals } from '../../../lab/engine/refusals-vms';
import type { Provocations } from './provocation';

export const sampleOvf = readFileSync(join(__dirname, 'sample.ovf'), 'utf8');
export const sampleIds = {
  vm: 'f0000000-0000-4000-8000-000000000001',
  nic: 'e1000000-0000-4000-8000-000000000001',
  disk: 'd1000000-0000-4000-8000-000000000001',
};

export function importBody(ovf: string, extra = '', cluster = '<cluster><name>Default</name></cluster>', initialization = ''): string {
  return `<vm>${cluster}${extra}<initialization><configuration><type>ovf</type><data>${escapeXml(ovf)}</data></configuration>${initialization}</initialization></vm>`;
}

function importVm(lab: Lab, ovf: string, extra = '', cluster?: string): Promise<Reply> {
  return lab.api('POST', '/vms', { body: importBody(ovf, extra, cluster) });
}

function start(lab: Lab, vmId: string): Promise<Reply> {
  return lab.action(`/vms/${vmId}/start`);
}

function newVm(name: string, cluster = 'Default', template = 'Blank'): string {
  return `<vm><name>${name}</name><cluster><name>${cluster}</name></cluster><template><name>${template}</name></template></vm>`;
}

function nic(name: string, mac = ''): string {
  return `<nic><name>${name}</name>${mac === '' ? '' : `<mac><address>${mac}</address></mac>`}</nic>`;
}

function event(origin: string, customId: number): string {
  return `<event><origin>${origin}</origin><severity>normal</severity><custom_id>${customId}</custom_id><description>d</description></event>`;
}

/** As one that is still being made from a template. */
async function lockedVm(lab: Lab): Promise<string> {
  const vmId = await lab.vm('a');
  const { store } = lab.engine.context;
  store.write(() => {
    store.tables.vms.patch(vmId, { status: 'image_locked' });
  });
  return vmId;
}

export const vmProvocations: Provocations<typeof vmRefusals> = {
  'start-vm/running': async (lab) => {
    const vmId = await lab.vm('a');
    await lab.start(vmId);
    return start(lab, vmId);
  },
  'start-vm/during-snapshot': async (lab) => start(lab, (await merging(lab)).vmId),
  'start-vm/disks-locked': async (lab) => {
    const { vmId, diskId } = await lab.vmWithDisk('a');
    await lockedDisk(lab, diskId);
    return start(lab, vmId);
  },
  'start-vm/domain-status': async (lab) => {
    const { vmId } = await lab.vmWithDisk('a');
    await maintenance(lab);
    return start(lab, vmId);
  },
  'start-vm/disks-illegal': async (lab) => {
    const { vmId, diskId } = await lab.vmWithDisk('a');
    damage(lab, diskId);
    return start(lab, vmId);
  },
  'start-vm/backup-domain': async (lab) => {
    const { vmId } = await lab.vmWithDisk('a');
    await backupDomain(lab);
    return start(lab, vmId);
  },
  'stop-vm/not-running': async (lab) => lab.action(`/vms/${await lockedVm(lab)}/shutdown`),
  'freeze-vm/not-up': async (lab) => lab.action(`/vms/${await lab.vm('a')}/freezefilesystems`),
  'freeze-vm/failed': async (lab) => {
    const vmId = await lab.vm('a');
    await lab.start(vmId);
    lab.host.failNext('freeze', 'agent-unavailable');
    return lab.action(`/vms/${vmId}/freezefilesystems`);
  },

  'add-vm/name-used': async (lab) => {
    await lab.vm('a');
    return lab.api('POST', '/vms', { body: newVm('a') });
  },
  'add-vm/cluster-unknown': (lab) => lab.api('POST', '/vms', { body: newVm('a', 'Nowhere') }),
  'add-vm/template-unknown': (lab) => lab.api('POST', '/vms', { body: newVm('a', 'Default', 'Golden') }),
  'import-vm/cluster-unknown': (lab) => importVm(lab, sampleOvf, '', '<cluster><name>Nowhere</name></cluster>'),
  // Checked before name and id, which are taken as well.
  'import-vm/mac-used': async (lab) => {
    await importVm(lab, sampleOvf);
    return importVm(lab, sampleOvf);
  },
  'import-vm/name-used': async (lab) => {
    await lab.vm('lab1');
    return importVm(lab, sampleOvf);
  },
  'import-vm/id-used': async (lab) => {
    await importVm(lab, sampleOvf);
    return importVm(lab, sampleOvf.replace('56:6f:00:00:00:01', ''), '<name>other</name>');
  },
  'import-vm/nic-id-used': async (lab) => {
    await importVm(lab, sampleOvf);
    return importVm(
      lab,
      sampleOvf.replace('56:6f:00:00:00:01', '').replaceAll(sampleIds.vm, sampleIds.vm.replace('1', '2')),
      '<name>other</name>',
    );
  },
  'import-vm/ovf': (lab) => importVm(lab, sampleOvf.replace(/<rasd:Connection>.*?<\/rasd:Connection>/, '')),
  'update-vm/name-used': async (lab) => {
    await lab.vm('a');
    return lab.api('PUT', `/vms/${await lab.vm('b')}`, { body: '<vm><name>a</name></vm>' });
  },

  'remove-vm/running': async (lab) => {
    const vmId = await lab.vm('a');
    await lab.start(vmId);
    return lab.api('DELETE', `/vms/${vmId}`);
  },
  'remove-vm/delete-protected': async (lab) => lab.api('DELETE', `/vms/${await lab.vm('a', '<delete_protected>true</delete_protected>')}`),
  'remove-vm/during-snapshot': async (lab) => lab.api('DELETE', `/vms/${(await merging(lab)).vmId}`),
  'remove-vm/domain-status': async (lab) => {
    const { vmId } = await lab.vmWithDisk('a');
    await maintenance(lab);
    return lab.api('DELETE', `/vms/${vmId}`);
  },
  'remove-vm/disks-locked': async (lab) => {
    const { vmId, diskId } = await lab.vmWithDisk('a');
    await lockedDisk(lab, diskId);
    return lab.api('DELETE', `/vms/${vmId}`);
  },
  'remove-vm/attached': async (lab) => {
    const { vmId, diskId, snapshotId } = await snapped(lab);
    await lab.attach(await lab.vm('appliance'), diskId, '', snapshotId);
    return lab.api('DELETE', `/vms/${vmId}`);
  },
  'remove-vm/detach-with-snapshots': async (lab) => lab.api('DELETE', `/vms/${(await snapped(lab)).vmId}?detach_only=true`),
  'remove-vm/detach-from-template': async (lab) => {
    await lab.template('golden');
    const body = '<vm><name>thin</name><cluster><name>Default</name></cluster><template><name>golden</name></template></vm>';
    const vmId = await lab.post('/vms', body);
    await lab.idle();
    return lab.api('DELETE', `/vms/${vmId}?detach_only=true`);
  },
  'remove-vm/locked': async (lab) => lab.api('DELETE', `/vms/${await lockedVm(lab)}`),

  'nic/name-used': async (lab) => {
    const vmId = await lab.vm('a');
    await lab.post(`/vms/${vmId}/nics`, nic('nic1'));
    return lab.api('POST', `/vms/${vmId}/nics`, { body: nic('nic1') });
  },
  'nic/mac-used': async (lab) => {
    const vmId = await lab.vm('a');
    await lab.post(`/vms/${vmId}/nics`, nic('nic1', '56:6f:00:00:00:0A'));
    return lab.api('POST', `/vms/${vmId}/nics`, { body: nic('nic2', '56:6f:00:00:00:0a') });
  },
  'nic/pool-empty': async (lab) => {
    const vmId = await lab.vm('a');
    const { store } = lab.engine.context;
    store.write(() => {
      for (const pool of store.tables.macPools.all())
        store.tables.macPools.put({ ...pool, ranges: [{ from: '56:6f:1a:b0:00:00', to: '56:6f:1a:b0:00:00' }] });
    });
    await lab.post(`/vms/${vmId}/nics`, nic('nic1'));
    return lab.api('POST', `/vms/${vmId}/nics`, { body: nic('nic2') });
  },
  'nic/remove-plugged': async (lab) => {
    const vmId = await lab.vm('a');
    const nicId = await lab.post(`/vms/${vmId}/nics`, nic('nic1'));
    await lab.start(vmId);
    return lab.api('DELETE', `/vms/${vmId}/nics/${nicId}`);
  },
  'tag/name-used': async (lab) => {
    await lab.post('/tags', '<tag><name>t</name></tag>');
    return lab.api('POST', '/tags', { body: '<tag><name>t</name></tag>' });
  },
  'event/origin': (lab) => lab.api('POST', '/events', { body: event('oVirt', 1) }),
  'event/custom-id-used': async (lab) => {
    await lab.post('/events', event('x', 1));
    return lab.api('POST', '/events', { body: event('x', 1) });
  },
};
