// How each disk and storage domain row of the refusal table is provoked. See refusals.test.ts.
import { newDisk, type Lab, type Reply } from './lab-client';
import { backupDomain, damage, lockedDisk, maintenance, merging, previewed, snapped } from './provoke-snapshots';
import type { diskRefusals } from '../../../lab/engine/refusals-disks';
import type { Provocations } from './provocation';

const unknownId = '11111111-2222-4333-8444-555555555555';

export async function lun(lab: Lab): Promise<string> {
  return lab.post(
    '/disks',
    '<disk><alias>lun</alias><lun_storage><type>iscsi</type><logical_units><logical_unit id="36001"><address>localhost</address><port>3260</port><target>iqn.x</target></logical_unit></logical_units></lun_storage></disk>',
  );
}

export function put(lab: Lab, vmId: string, diskId: string, active: boolean): Promise<Reply> {
  return lab.api('PUT', `/vms/${vmId}/diskattachments/${diskId}`, {
    body: `<disk_attachment><active>${active}</active></disk_attachment>`,
  });
}

function addToVm(lab: Lab, vmId: string): Promise<Reply> {
  return lab.api('POST', `/vms/${vmId}/diskattachments`, {
    body: `<disk_attachment><interface>virtio_scsi</interface><active>true</active>${newDisk('new')}</disk_attachment>`,
  });
}

async function runningVm(lab: Lab, name = 'a'): Promise<string> {
  const vmId = await lab.vm(name);
  await lab.start(vmId);
  return vmId;
}

export function domainAction(lab: Lab, action: string): Promise<Reply> {
  const { domains, places } = lab.engine.context.store.tables;
  return lab.action(
    `/datacenters/${places.where((place) => place.kind === 'data_center')[0]?.id ?? ''}/storagedomains/${domains.all()[0]?.id ?? ''}/${action}`,
  );
}

export const diskProvocations: Provocations<typeof diskRefusals> = {
  'attach-disk/unknown': async (lab) => lab.attach(await lab.vm('a'), unknownId),
  'attach-disk/snapshot-unknown': async (lab) => lab.attach(await lab.vm('a'), await lab.disk('d'), '', unknownId),
  'attach-disk/snapshot-not-regular': async (lab) => {
    const { vmId, diskId } = await lab.vmWithDisk('source');
    const active = lab.engine.context.store.tables.snapshots.where((snapshot) => snapshot.vmId === vmId)[0]?.id;
    return lab.attach(await lab.vm('a'), diskId, '', active);
  },
  'attach-disk/snapshot-status': async (lab) => {
    const { diskId, snapshotId } = await merging(lab, 'source');
    return lab.attach(await lab.vm('a'), diskId, '', snapshotId);
  },
  'attach-disk/illegal': async (lab) => {
    const diskId = await lab.disk('d');
    damage(lab, diskId);
    return lab.attach(await lab.vm('a'), diskId);
  },
  'attach-disk/locked': async (lab) => {
    const diskId = await lab.disk('d');
    await lockedDisk(lab, diskId);
    return lab.attach(await lab.vm('a'), diskId);
  },
  'attach-disk/vm-status': async (lab) => {
    const vmId = await runningVm(lab);
    lab.host.report(vmId, 'powering_down');
    return lab.attach(vmId, await lab.disk('d'));
  },
  'attach-disk/boot-in-use': async (lab) => lab.attach((await lab.vmWithDisk('a')).vmId, await lab.disk('d'), '<bootable>true</bootable>'),
  // One snapshot of a disk per appliance at a time.
  'attach-disk/already-attached': async (lab) => {
    const { vmId, diskId, snapshotId } = await snapped(lab, 'source');
    const later = await lab.snapshot(vmId, 'later');
    const appliance = await lab.vm('a');
    await lab.attach(appliance, diskId, '', snapshotId);
    return lab.attach(appliance, diskId, '', later);
  },
  'attach-disk/not-shareable': async (lab) => lab.attach(await lab.vm('b'), (await lab.vmWithDisk('a')).diskId),
  // Even of a VM that is down, even of a snapshot.
  'attach-disk/backup-domain': async (lab) => {
    const { diskId, snapshotId } = await snapped(lab, 'source');
    await backupDomain(lab);
    return lab.attach(await lab.vm('a'), diskId, '<active>false</active>', snapshotId);
  },
  'attach-disk/domain-status': async (lab) => {
    const diskId = await lab.disk('d');
    await maintenance(lab);
    return lab.attach(await lab.vm('a'), diskId);
  },
  'attach-disk/interface': async (lab) => {
    const body = `<disk_attachment><disk id="${await lab.disk('d')}"/><interface>ide</interface><active>true</active></disk_attachment>`;
    return lab.api('POST', `/vms/${await runningVm(lab)}/diskattachments`, { body });
  },
  'attach-disk/during-snapshot': async (lab) => {
    const diskId = await lab.disk('d');
    return lab.attach((await merging(lab)).vmId, diskId);
  },
  'attach-disk/preview': async (lab) => lab.attach((await previewed(lab)).vmId, await lab.disk('d')),
  'attach-disk/lun': async (lab) => lab.attach(await runningVm(lab), await lun(lab)),
  'plug-disk/backup-domain': async (lab) => {
    const { vmId, diskId } = await lab.vmWithDisk('a');
    await put(lab, vmId, diskId, false);
    await lab.start(vmId);
    await backupDomain(lab);
    return put(lab, vmId, diskId, true);
  },
  'plug-disk/domain-status': async (lab) => {
    const { vmId, diskId } = await lab.vmWithDisk('a');
    await put(lab, vmId, diskId, false);
    await lab.start(vmId);
    await maintenance(lab);
    return put(lab, vmId, diskId, true);
  },
  'plug-disk/during-snapshot': async (lab) => {
    const { vmId, diskId } = await merging(lab);
    return put(lab, vmId, diskId, false);
  },
  'plug-disk/preview': async (lab) => {
    const { vmId, diskId } = await previewed(lab);
    return put(lab, vmId, diskId, false);
  },
  'plug-disk/vm-status': async (lab) => {
    const { vmId, diskId } = await lab.vmWithDisk('a');
    await lab.start(vmId);
    lab.host.report(vmId, 'not_responding');
    return put(lab, vmId, diskId, false);
  },
  'detach-disk/vm-status': async (lab) => {
    const { vmId, diskId } = await lab.vmWithDisk('a');
    await lab.start(vmId);
    lab.host.report(vmId, 'paused');
    return lab.api('DELETE', `/vms/${vmId}/diskattachments/${diskId}`);
  },
  'detach-disk/not-attached': async (lab) => lab.api('DELETE', `/vms/${await lab.vm('a')}/diskattachments/${await lab.disk('d')}`),
  'detach-disk/in-snapshot': async (lab) => {
    const { vmId, diskId } = await snapped(lab);
    return lab.api('DELETE', `/vms/${vmId}/diskattachments/${diskId}`);
  },

  'add-disk/domain-unknown': async (lab) => lab.api('POST', '/disks', { body: newDisk('d').replace('data-1', 'data-9') }),
  'add-disk/domain-status': async (lab) => {
    await maintenance(lab);
    return lab.api('POST', '/disks', { body: newDisk('d') });
  },
  'add-disk/configuration': (lab) => lab.api('POST', '/disks', { body: newDisk('d', '<backup>incremental</backup>', 'raw') }),
  'add-disk/low-space': (lab) => {
    lab.host.availableBytes = 1.5 * 1024 ** 3;
    return lab.api('POST', '/disks', { body: newDisk('d', '<sparse>false</sparse>', 'raw') });
  },
  'add-disk/shareable-cow': (lab) => lab.api('POST', '/disks', { body: newDisk('d', '<shareable>true</shareable>') }),
  'add-disk/image-id-used': async (lab) => {
    await lab.disk('d');
    return lab.api('POST', '/disks', {
      body: newDisk('e', `<image_id>${lab.engine.context.store.tables.images.all()[0]?.id ?? ''}</image_id>`),
    });
  },
  'add-disk/id-used': async (lab) =>
    lab.api('POST', '/disks', { body: newDisk('e').replace('<disk>', `<disk id="${await lab.disk('d')}">`) }),
  'add-disk/during-snapshot': async (lab) => addToVm(lab, (await merging(lab)).vmId),
  'add-disk/preview': async (lab) => addToVm(lab, (await previewed(lab)).vmId),
  'remove-disk/vm-not-down': async (lab) => {
    const { vmId, diskId } = await lab.vmWithDisk('a');
    await lab.start(vmId);
    return lab.api('DELETE', `/disks/${diskId}`);
  },
  'remove-disk/template': async (lab) => lab.api('DELETE', `/disks/${(await lab.template('t')).diskId}`),
  'remove-disk/domain-status': async (lab) => {
    const diskId = await lab.disk('d');
    await maintenance(lab);
    return lab.api('DELETE', `/disks/${diskId}`);
  },
  'remove-disk/locked': async (lab) => {
    const diskId = await lab.disk('d');
    await lockedDisk(lab, diskId);
    return lab.api('DELETE', `/disks/${diskId}`);
  },
  // Another disk of the VM, which the merge itself does not lock and which no request could add meanwhile.
  'remove-disk/during-snapshot': async (lab) => {
    const other = await lab.disk('other');
    const { vmId } = await merging(lab);
    lab.engine.context.store.write(() => {
      const { attachments } = lab.engine.context.store.tables;
      const [first] = attachments.all();
      if (first !== undefined) attachments.put({ ...first, id: `${vmId}/${other}`, diskId: other, bootable: false });
    });
    return lab.api('DELETE', `/disks/${other}`);
  },
  'remove-disk/preview': async (lab) => lab.api('DELETE', `/disks/${(await previewed(lab)).diskId}`),
  'update-disk/locked': async (lab) => {
    const diskId = await lab.disk('d');
    await lockedDisk(lab, diskId);
    return lab.api('PUT', `/disks/${diskId}`, { body: '<disk><alias>e</alias></disk>' });
  },

  'domain/backup-in-use': async (lab) => {
    await lab.start((await lab.vmWithDisk('a')).vmId);
    return lab.api('PUT', `/storagedomains/${lab.engine.context.store.tables.domains.all()[0]?.id ?? ''}`, {
      body: '<storage_domain><backup>true</backup></storage_domain>',
    });
  },
  'domain/deactivate-status': async (lab) => {
    await maintenance(lab);
    return domainAction(lab, 'deactivate');
  },
  'domain/deactivate-in-use': async (lab) => {
    await lab.start((await lab.vmWithDisk('a')).vmId);
    return domainAction(lab, 'deactivate');
  },
  'domain/activate-status': (lab) => domainAction(lab, 'activate'),
};
