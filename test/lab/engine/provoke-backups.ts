// How each backup, checkpoint and transfer row of the refusal table is provoked. See refusals.test.ts.
import type { backupRefusals } from '../../../lab/engine/refusals-backups';
import { askBackup, askTransfer, backUp, begin, finalize, from, finish, trackedVm, transfer } from './backup-client';
import { newSnapshot, type Lab, type Reply } from './lab-client';
import { domainAction } from './provoke-disks';
import { damage, lockedDisk, maintenance, previewed } from './provoke-snapshots';
import type { Provocations } from './provocation';

const unknownId = '11111111-2222-4333-8444-555555555555';

function setPhase(lab: Lab, backupId: string, phase: 'starting'): void {
  lab.engine.context.store.write(() => {
    lab.engine.context.store.tables.backups.patch(backupId, { phase });
  });
}

async function resize(lab: Lab, diskId: string, bytes: number): Promise<Reply> {
  return lab.api('PUT', `/disks/${diskId}`, { body: `<disk><provisioned_size>${bytes}</provisioned_size></disk>` });
}

async function withBackup(lab: Lab, kind: 'live' | 'cold' | 'hybrid'): Promise<{ vmId: string; diskId: string; backupId: string }> {
  const { vmId, diskId } = await trackedVm(lab, 'a', kind);
  return { vmId, diskId, backupId: await begin(lab, vmId, [diskId], kind) };
}

/** A finished backup of another kind that the engine has not forgotten yet. */
async function hybridAfter(lab: Lab, kind: 'live' | 'cold'): Promise<string> {
  const { vmId, diskId } = await trackedVm(lab, 'a', kind);
  await backUp(lab, vmId, [diskId], kind);
  await begin(lab, vmId, [diskId], 'hybrid');
  return vmId;
}

const gib = 1024 ** 3;

export const backupProvocations: Provocations<typeof backupRefusals> = {
  'lock/vm-backup': async (lab) => {
    const { vmId } = await withBackup(lab, 'live');
    return lab.api('POST', `/vms/${vmId}/snapshots`, { body: newSnapshot('s') });
  },
  'lock/backup-disk': async (lab) => {
    const { vmId, diskId } = await withBackup(lab, 'hybrid');
    return askBackup(lab, vmId, [diskId], 'hybrid');
  },
  'lock/checkpoint-removal': async (lab) => {
    const { vmId, diskId } = await trackedVm(lab, 'a');
    const checkpoint = await backUp(lab, vmId, [diskId], 'cold');
    lab.host.hold('removeBitmap');
    void lab.api('DELETE', `/vms/${vmId}/checkpoints/${checkpoint}`).catch(() => undefined);
    while (lab.engine.context.locks.list().length === 0)
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    return lab.action(`/vms/${vmId}/start`);
  },
  'lock/transfer': async (lab) => {
    const diskId = await lab.disk('d');
    await transfer(lab, `<disk id="${diskId}"/>`);
    return lab.api('DELETE', `/disks/${diskId}`);
  },

  'start-backup/disk-unknown': async (lab) => askBackup(lab, await lab.vm('a'), [unknownId], 'cold'),
  'start-backup/disks-locked': async (lab) => {
    const { vmId, diskId } = await trackedVm(lab, 'a');
    await lockedDisk(lab, diskId);
    return askBackup(lab, vmId, [diskId], 'hybrid');
  },
  'start-backup/disk-of-another-vm': async (lab) => askBackup(lab, await lab.vm('a'), [(await trackedVm(lab, 'b')).diskId], 'cold'),
  'start-backup/disks-inactive': async (lab) => {
    const vmId = await lab.vm('a');
    const diskId = await lab.disk('d');
    await lab.attach(vmId, diskId, '<active>false</active>');
    return askBackup(lab, vmId, [diskId], 'cold');
  },
  'start-backup/checkpoint-unknown': async (lab) => {
    const { vmId, diskId } = await trackedVm(lab, 'a');
    return askBackup(lab, vmId, [diskId], 'cold', from(unknownId));
  },
  'start-backup/checkpoint-invalid': async (lab) => {
    const { vmId, diskId } = await trackedVm(lab, 'a');
    const checkpoint = await backUp(lab, vmId, [diskId], 'cold');
    lab.host.failNext('removeBitmap', 'qemu-failed');
    await lab.api('DELETE', `/vms/${vmId}/checkpoints/${checkpoint}`);
    return askBackup(lab, vmId, [diskId], 'hybrid', from(checkpoint));
  },
  'start-backup/vm-status': async (lab) => {
    const { vmId, diskId } = await trackedVm(lab, 'a', 'live');
    lab.host.report(vmId, 'paused');
    return askBackup(lab, vmId, [diskId], 'live');
  },
  'start-backup/preview': async (lab) => {
    const { vmId, diskId } = await previewed(lab);
    return askBackup(lab, vmId, [diskId], 'cold');
  },
  // A backup without its locks: as nobody can make it but a crash of the engine's database.
  'start-backup/other-backup': async (lab) => {
    const { vmId, diskId, backupId } = await withBackup(lab, 'hybrid');
    lab.engine.context.locks.free(backupId);
    return askBackup(lab, vmId, [diskId], 'hybrid');
  },
  'start-backup/description': async (lab) => {
    const { vmId, diskId } = await trackedVm(lab, 'a');
    return askBackup(lab, vmId, [diskId], 'cold', `<description>${'x'.repeat(1025)}</description>`);
  },
  'start-backup/id-used': async (lab) => {
    const { vmId, diskId, backupId } = await withBackup(lab, 'cold');
    await finish(lab, vmId, backupId);
    return askBackup(lab, vmId, [diskId], 'cold', '', backupId);
  },
  'start-backup/redefinition-failed': async (lab) => {
    const { vmId, diskId } = await trackedVm(lab, 'a', 'live');
    const checkpoint = await backUp(lab, vmId, [diskId], 'live');
    await lab.host.killVm(vmId);
    await lab.start(vmId);
    return askBackup(lab, vmId, [diskId], 'live', from(checkpoint));
  },
  'start-backup/snapshot-refused': async (lab) => {
    const vmId = await lab.vm('a');
    const diskId = await lab.disk('d', '<shareable>true</shareable>', 'raw');
    await lab.attach(vmId, diskId);
    return askBackup(lab, vmId, [diskId], 'hybrid');
  },
  'stop-backup/active-transfer': async (lab) => {
    const { vmId, diskId, backupId } = await withBackup(lab, 'live');
    await transfer(lab, `<disk id="${diskId}"/><backup id="${backupId}"/>`);
    return finalize(lab, vmId, backupId);
  },
  'stop-backup/again': async (lab) => {
    const { vmId, backupId } = await withBackup(lab, 'cold');
    await finish(lab, vmId, backupId);
    return finalize(lab, vmId, backupId);
  },
  'stop-backup/stopped': async (lab) => {
    const { vmId, diskId } = await trackedVm(lab, 'a', 'live');
    lab.host.hold('snapshot');
    const id = /id="([0-9a-f-]+)"/.exec((await askBackup(lab, vmId, [diskId], 'hybrid')).text)?.[1] ?? '';
    await finalize(lab, vmId, id);
    return finalize(lab, vmId, id);
  },
  'stop-backup/premature': async (lab) => {
    const { vmId, diskId } = await trackedVm(lab, 'a', 'live');
    lab.host.hold('createVolume');
    const reply = await askBackup(lab, vmId, [diskId], 'live');
    return finalize(lab, vmId, /id="([0-9a-f-]+)"/.exec(reply.text)?.[1] ?? '');
  },

  'remove-checkpoint/in-backup': async (lab) => {
    const { vmId, diskId } = await trackedVm(lab, 'a');
    const checkpoint = await backUp(lab, vmId, [diskId], 'cold');
    await begin(lab, vmId, [diskId], 'hybrid');
    return lab.api('DELETE', `/vms/${vmId}/checkpoints/${checkpoint}`);
  },
  'remove-checkpoint/disks-locked': async (lab) => {
    const { vmId, diskId } = await trackedVm(lab, 'a');
    const checkpoint = await backUp(lab, vmId, [diskId], 'cold');
    await lockedDisk(lab, diskId);
    return lab.api('DELETE', `/vms/${vmId}/checkpoints/${checkpoint}`);
  },
  'remove-snapshot/in-backup': async (lab) => {
    const { vmId, diskId } = await trackedVm(lab, 'a');
    const snapshotId = await lab.snapshot(vmId);
    await begin(lab, vmId, [diskId], 'hybrid');
    return lab.api('DELETE', `/vms/${vmId}/snapshots/${snapshotId}`);
  },
  'remove-vm/in-backup': async (lab) => lab.api('DELETE', `/vms/${(await withBackup(lab, 'hybrid')).vmId}`),
  'start-vm/in-backup': async (lab) => lab.action(`/vms/${await hybridAfter(lab, 'cold')}/start`),
  'stop-vm/in-backup': async (lab) => lab.action(`/vms/${await hybridAfter(lab, 'live')}/stop`),
  'shutdown-vm/in-backup': async (lab) => lab.action(`/vms/${(await withBackup(lab, 'live')).vmId}/shutdown`),

  'start-transfer/disk-unknown': (lab) => askTransfer(lab, `<disk id="${unknownId}"/>`),
  'start-transfer/illegal': async (lab) => {
    const diskId = await lab.disk('d');
    damage(lab, diskId);
    return askTransfer(lab, `<disk id="${diskId}"/>`);
  },
  'start-transfer/domain-status': async (lab) => {
    const diskId = await lab.disk('d');
    await maintenance(lab);
    return askTransfer(lab, `<disk id="${diskId}"/>`);
  },
  // As an administrator's SQL would leave it.
  'start-transfer/hybrid-snapshot': async (lab) => {
    const { diskId, backupId } = await withBackup(lab, 'hybrid');
    const { store } = lab.engine.context;
    store.write(() => {
      store.tables.snapshots.delete(store.tables.backups.get(backupId)?.snapshotId ?? '');
    });
    return askTransfer(lab, `<disk id="${diskId}"/><backup id="${backupId}"/>`);
  },
  'start-transfer/backup-unknown': async (lab) => askTransfer(lab, `<disk id="${await lab.disk('d')}"/><backup id="${unknownId}"/>`),
  'start-transfer/backup-not-ready': async (lab) => {
    const { diskId, backupId } = await withBackup(lab, 'cold');
    setPhase(lab, backupId, 'starting');
    return askTransfer(lab, `<disk id="${diskId}"/><backup id="${backupId}"/>`);
  },
  'start-transfer/backup-format': async (lab) => {
    const { diskId, backupId } = await withBackup(lab, 'cold');
    return askTransfer(lab, `<disk id="${diskId}"/><backup id="${backupId}"/>`, 'download', '<format>cow</format>');
  },
  'start-transfer/plugged': async (lab) => askTransfer(lab, `<disk id="${(await trackedVm(lab, 'a', 'live')).diskId}"/>`),
  'start-transfer/locked': async (lab) => {
    const diskId = await lab.disk('d');
    await transfer(lab, `<disk id="${diskId}"/>`);
    return askTransfer(lab, `<disk id="${diskId}"/>`);
  },
  'resume-transfer/not-paused': async (lab) =>
    lab.action(`/imagetransfers/${await transfer(lab, `<disk id="${await lab.disk('d')}"/>`, 'upload')}/resume`),
  'pause-transfer/download': async (lab) =>
    lab.action(`/imagetransfers/${await transfer(lab, `<disk id="${await lab.disk('d')}"/>`)}/pause`),
  'update-disk/configuration': async (lab) =>
    lab.api('PUT', `/disks/${await lab.disk('d', '', 'raw')}`, { body: '<disk><backup>incremental</backup></disk>' }),
  'resize-disk/smaller': async (lab) => resize(lab, await lab.disk('d'), gib / 2),
  'resize-disk/low-space': async (lab) => {
    const diskId = await lab.disk('d', '<sparse>false</sparse>', 'raw');
    lab.host.availableBytes = 2 * gib;
    return resize(lab, diskId, 3 * gib);
  },
  'domain/deactivate-transfers': async (lab) => {
    await transfer(lab, `<disk id="${await lab.disk('d')}"/>`);
    return domainAction(lab, 'deactivate');
  },
};
