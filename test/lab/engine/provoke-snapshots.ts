// How each snapshot row of the refusal table is provoked. See refusals.test.ts.
import { rmSync } from 'node:fs';
import { newSnapshot, type Lab, type Reply } from './lab-client';
import type { snapshotRefusals } from '../../../lab/engine/refusals-snapshots';
import type { Provocations } from './provocation';

const unknownId = '11111111-2222-4333-8444-555555555555';

function create(lab: Lab, vmId: string, extra = ''): Promise<Reply> {
  return lab.api('POST', `/vms/${vmId}/snapshots`, { body: newSnapshot('s', extra) });
}

function named(...diskIds: readonly string[]): string {
  return `<disk_attachments>${diskIds.map((id) => `<disk_attachment><disk id="${id}"/></disk_attachment>`).join('')}</disk_attachments>`;
}

function remove(lab: Lab, vmId: string, snapshotId: string): Promise<Reply> {
  return lab.api('DELETE', `/vms/${vmId}/snapshots/${snapshotId}`);
}

function preview(lab: Lab, vmId: string, snapshotId: string): Promise<Reply> {
  return lab.action(`/vms/${vmId}/previewsnapshot`, `<action><snapshot id="${snapshotId}"/></action>`);
}

/** A snapshot whose merge has begun and does not end. */
export async function merging(lab: Lab, name = 'a'): Promise<{ vmId: string; diskId: string; snapshotId: string }> {
  const { vmId, diskId } = await lab.vmWithDisk(name);
  const snapshotId = await lab.snapshot(vmId);
  lab.host.hold('merge');
  await remove(lab, vmId, snapshotId);
  return { vmId, diskId, snapshotId };
}

/** A stopped VM with one snapshot. */
export async function snapped(lab: Lab, name = 'a'): Promise<{ vmId: string; diskId: string; snapshotId: string }> {
  const { vmId, diskId } = await lab.vmWithDisk(name);
  return { vmId, diskId, snapshotId: await lab.snapshot(vmId) };
}

export async function previewed(lab: Lab): Promise<{ vmId: string; diskId: string; snapshotId: string }> {
  const found = await snapped(lab);
  await preview(lab, found.vmId, found.snapshotId);
  return found;
}

/** Deletes the file of the disk's active volume. */
export function damage(lab: Lab, diskId: string): void {
  const [image] = lab.engine.context.store.tables.images.where((candidate) => candidate.diskId === diskId && candidate.active);
  if (image === undefined) throw new Error(`disk ${diskId} has no volume`);
  rmSync(lab.host.volumeFile({ domainId: image.domainId, diskId, volumeId: image.id }));
  lab.engine.context.volumes.forget();
}

/** A disk that is locked for as long as its removal is held. Its lock in memory is gone, as after a restart. */
export async function lockedDisk(lab: Lab, diskId: string): Promise<void> {
  lab.engine.context.store.write(() => {
    lab.engine.context.store.tables.disks.patch(diskId, { locked: true });
  });
  await Promise.resolve();
}

export async function maintenance(lab: Lab): Promise<void> {
  const { domains, places } = lab.engine.context.store.tables;
  const center = places.where((place) => place.kind === 'data_center')[0]?.id ?? '';
  const reply = await lab.action(`/datacenters/${center}/storagedomains/${domains.all()[0]?.id ?? ''}/deactivate`);
  if (reply.status !== 200) throw new Error(reply.text);
}

export async function backupDomain(lab: Lab): Promise<void> {
  const id = lab.engine.context.store.tables.domains.all()[0]?.id ?? '';
  await lab.xml('PUT', `/storagedomains/${id}`, '<storage_domain><backup>true</backup></storage_domain>');
}

export const snapshotProvocations: Provocations<typeof snapshotRefusals> = {
  'create-snapshot/disk-unknown': async (lab) => create(lab, await lab.vm('a'), named(unknownId)),
  'create-snapshot/not-snapable': async (lab) => {
    const vmId = await lab.vm('a');
    const diskId = await lab.disk('shared', '<shareable>true</shareable>', 'raw');
    await lab.attach(vmId, diskId);
    return create(lab, vmId, named(diskId));
  },
  'create-snapshot/not-attached': async (lab) => create(lab, await lab.vm('a'), named(await lab.disk('floating'))),
  'create-snapshot/vm-status': async (lab) => {
    const vmId = await lab.vm('a');
    await lab.start(vmId);
    lab.host.report(vmId, 'not_responding');
    return create(lab, vmId);
  },
  'create-snapshot/during-snapshot': async (lab) => create(lab, (await merging(lab)).vmId),
  'create-snapshot/preview': async (lab) => create(lab, (await previewed(lab)).vmId),
  'create-snapshot/memory': async (lab) => {
    const vmId = await lab.vm('a');
    await lab.start(vmId);
    return lab.api('POST', `/vms/${vmId}/snapshots`, { body: '<snapshot><description>s</description></snapshot>' });
  },
  'create-snapshot/disks-locked': async (lab) => {
    const { vmId, diskId } = await lab.vmWithDisk('a');
    await lockedDisk(lab, diskId);
    return create(lab, vmId);
  },
  'create-snapshot/disks-illegal': async (lab) => {
    const { vmId, diskId } = await lab.vmWithDisk('a');
    damage(lab, diskId);
    return create(lab, vmId);
  },
  'create-snapshot/image-id-used': async (lab) => {
    const { vmId, diskId } = await lab.vmWithDisk('a');
    const imageId = lab.engine.context.store.tables.images.all()[0]?.id ?? '';
    return create(
      lab,
      vmId,
      `<disk_attachments><disk_attachment><disk id="${diskId}"><image_id>${imageId}</image_id></disk></disk_attachment></disk_attachments>`,
    );
  },
  'create-snapshot/domain-status': async (lab) => {
    const { vmId } = await lab.vmWithDisk('a');
    await maintenance(lab);
    return create(lab, vmId);
  },
  'create-snapshot/low-space': async (lab) => {
    const { vmId } = await lab.vmWithDisk('a');
    lab.host.availableBytes = 1024;
    return create(lab, vmId);
  },

  'remove-snapshot/during-snapshot': async (lab) => {
    const { vmId, snapshotId } = await merging(lab);
    return remove(lab, vmId, snapshotId);
  },
  'remove-snapshot/preview': async (lab) => {
    const { vmId, snapshotId } = await previewed(lab);
    return remove(lab, vmId, snapshotId);
  },
  'remove-snapshot/not-regular': async (lab) => {
    const vmId = await lab.vm('a');
    return remove(lab, vmId, lab.engine.context.store.tables.snapshots.all()[0]?.id ?? '');
  },
  'remove-snapshot/vm-status': async (lab) => {
    const { vmId, snapshotId } = await snapped(lab);
    await lab.start(vmId);
    lab.host.report(vmId, 'not_responding');
    return remove(lab, vmId, snapshotId);
  },
  // An attachment that is not active blocks as well, and one of another snapshot.
  'remove-snapshot/attached': async (lab) => {
    const { vmId, diskId, snapshotId } = await snapped(lab);
    await lab.attach(await lab.vm('appliance'), diskId, '<active>false</active>', await lab.snapshot(vmId, 'later'));
    return remove(lab, vmId, snapshotId);
  },
  'remove-snapshot/disks-locked': async (lab) => {
    const { vmId, diskId, snapshotId } = await snapped(lab);
    await lockedDisk(lab, diskId);
    return remove(lab, vmId, snapshotId);
  },
  'remove-snapshot/disks-illegal': async (lab) => {
    const { vmId, diskId, snapshotId } = await snapped(lab);
    damage(lab, diskId);
    return remove(lab, vmId, snapshotId);
  },
  'remove-snapshot/unplugged': async (lab) => {
    const { vmId, diskId, snapshotId } = await snapped(lab);
    await lab.start(vmId);
    await lab.xml('PUT', `/vms/${vmId}/diskattachments/${diskId}`, '<disk_attachment><active>false</active></disk_attachment>');
    return remove(lab, vmId, snapshotId);
  },
  'remove-snapshot/domain-status': async (lab) => {
    const { vmId, snapshotId } = await snapped(lab);
    await maintenance(lab);
    return remove(lab, vmId, snapshotId);
  },
  'remove-snapshot/low-space': async (lab) => {
    const { vmId, snapshotId } = await snapped(lab);
    lab.host.availableBytes = 1024;
    return remove(lab, vmId, snapshotId);
  },

  'preview-snapshot/vm-not-down': async (lab) => {
    const { vmId, snapshotId } = await snapped(lab);
    await lab.start(vmId);
    return preview(lab, vmId, snapshotId);
  },
  'preview-snapshot/unknown': async (lab) => preview(lab, await lab.vm('a'), unknownId),
  'preview-snapshot/during-snapshot': async (lab) => {
    const { vmId, snapshotId } = await merging(lab);
    return preview(lab, vmId, snapshotId);
  },
  'preview-snapshot/preview': async (lab) => {
    const { vmId, snapshotId } = await previewed(lab);
    return preview(lab, vmId, snapshotId);
  },
  'preview-snapshot/no-configuration': async (lab) =>
    preview(lab, await lab.vm('a'), lab.engine.context.store.tables.snapshots.all()[0]?.id ?? ''),
  'preview-snapshot/disks-illegal': async (lab) => {
    const { vmId, diskId, snapshotId } = await snapped(lab);
    damage(lab, diskId);
    return preview(lab, vmId, snapshotId);
  },
  'preview-snapshot/disks-locked': async (lab) => {
    const { vmId, diskId, snapshotId } = await snapped(lab);
    await lockedDisk(lab, diskId);
    return preview(lab, vmId, snapshotId);
  },
  'preview-snapshot/not-attached': async (lab) => {
    const { vmId, diskId, snapshotId } = await snapped(lab);
    await lab.attach(vmId, await lab.disk('other'));
    // No request leads there, because a disk in a snapshot cannot be detached: what a removed attachment would leave.
    lab.engine.context.store.write(() => {
      lab.engine.context.store.tables.attachments.delete(`${vmId}/${diskId}`);
    });
    return preview(lab, vmId, snapshotId);
  },
  'preview-snapshot/domain-status': async (lab) => {
    const { vmId, snapshotId } = await snapped(lab);
    await maintenance(lab);
    return preview(lab, vmId, snapshotId);
  },
  'preview-snapshot/low-space': async (lab) => {
    const { vmId, snapshotId } = await snapped(lab);
    lab.host.availableBytes = 1024;
    return preview(lab, vmId, snapshotId);
  },
  'commit-snapshot/domain-status': async (lab) => {
    const { vmId } = await previewed(lab);
    await maintenance(lab);
    return lab.action(`/vms/${vmId}/undosnapshot`);
  },
  'commit-snapshot/not-in-preview': async (lab) => lab.action(`/vms/${await lab.vm('a')}/commitsnapshot`),
  'commit-snapshot/attached': async (lab) => {
    const { vmId, diskId, snapshotId } = await snapped(lab);
    const later = await lab.snapshot(vmId, 'later');
    await preview(lab, vmId, snapshotId);
    const reply = await lab.attach(await lab.vm('appliance'), diskId, '<active>false</active>', later);
    if (reply.status !== 201) throw new Error(reply.text);
    return lab.action(`/vms/${vmId}/commitsnapshot`);
  },
  'commit-snapshot/vm-not-down': async (lab) => {
    const { vmId } = await previewed(lab);
    await lab.start(vmId);
    return lab.action(`/vms/${vmId}/undosnapshot`);
  },
};
