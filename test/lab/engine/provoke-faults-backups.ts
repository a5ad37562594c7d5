// How each injected fault of backups and transfers is asked for, and what it must then do. See provoke-faults.ts.
import type { backupFaultKinds } from '../../../lab/engine/injected/kinds-backups';
import { childText } from '../../../lab/engine/xml';
import { askBackup, backUp, backupRow, begin, finalize, from, phaseOf, refusedTransfer, trackedVm, transfer, transferRow, until } from './backup-client';
import type { ControlClient } from './control-client';
import type { Lab } from './lab-client';

interface Stage {
  readonly lab: Lab;
  readonly control: ControlClient;
}

async function checkpoints(lab: Lab, vmId: string): Promise<string[]> {
  return (await lab.xml('GET', `/vms/${vmId}/checkpoints`)).children.map((row) => row.attributes['id'] ?? '');
}

async function codes(lab: Lab): Promise<number[]> {
  return (await lab.xml('GET', '/events')).children.map((row) => Number(childText(row, 'code')));
}

export const backupWalks: Readonly<Record<keyof typeof backupFaultKinds, (stage: Stage) => Promise<number>>> = {
  'redefinition-failure': async ({ lab, control }) => {
    const { vmId, diskId } = await trackedVm(lab, 'redefine', 'live');
    const checkpoint = await backUp(lab, vmId, [diskId], 'live');
    await control.inject({ kind: 'redefinition-failure', vmId });
    const id = '22222222-2222-4333-8444-555555555555';
    expect((await askBackup(lab, vmId, [diskId], 'live', from(checkpoint), id)).status).toBe(400);
    await lab.idle();
    expect([backupRow(lab, id)?.phase, await checkpoints(lab, vmId)]).toEqual(['failed', []]);
    expect(await codes(lab)).toEqual(expect.arrayContaining([10_790, 10_791, 10_792]));
    await backUp(lab, vmId, [diskId], 'live');
    return 1;
  },
  'bitmaps-forgotten': async ({ lab, control }) => {
    const { vmId, diskId } = await trackedVm(lab, 'forgotten');
    const checkpoint = await backUp(lab, vmId, [diskId], 'cold');
    await control.inject({ kind: 'bitmaps-forgotten', vmId });
    const id = await begin(lab, vmId, [diskId], 'cold', from(checkpoint));
    const failed = await refusedTransfer(lab, `<disk id="${diskId}"/><backup id="${id}"/>`);
    expect([phaseOf(lab, failed), (await codes(lab)).includes(1068)]).toEqual(['finished_failure', true]);
    return 1;
  },
  'lying-bitmap': async ({ lab, control }) => {
    const { diskId } = await trackedVm(lab, 'lies');
    await control.inject({ kind: 'lying-bitmap', diskId, bytes: 65_536 });
    expect([...lab.host.lies]).toEqual([[diskId, 65_536]]);
    return 1;
  },
  'scratch-full': async ({ lab, control }) => {
    const { vmId, diskId } = await trackedVm(lab, 'full', 'live');
    const none = await control.inject({ kind: 'scratch-full', vmId });
    const id = await begin(lab, vmId, [diskId], 'live');
    expect([backupRow(lab, id)?.phase, await checkpoints(lab, vmId)]).toEqual(['failed', []]);
    expect(await codes(lab)).toEqual(expect.arrayContaining([10_799, 10_806, 10_792]));
    expect((await lab.xml('GET', '/disks')).children).toHaveLength(1);
    await control.release(none);
    await control.inject({ kind: 'scratch-full', vmId, bytes: 1_048_576 });
    await begin(lab, vmId, [diskId], 'live');
    expect([...lab.host.scratchLimits]).toEqual([[diskId, 1_048_576]]);
    return 1;
  },
  'finalize-failure': async ({ lab, control }) => {
    const { vmId, diskId } = await trackedVm(lab, 'unstoppable', 'live');
    await control.inject({ kind: 'finalize-failure', vmId });
    const id = await begin(lab, vmId, [diskId], 'live');
    expect((await finalize(lab, vmId, id)).status).toBe(400);
    await lab.idle();
    expect([backupRow(lab, id)?.phase, await checkpoints(lab, vmId)]).toEqual(['failed', []]);
    expect(await codes(lab)).toEqual(expect.arrayContaining([10_795, 10_792]));
    return 1;
  },
  'slow-finalize': async ({ lab, control }) => {
    const { vmId, diskId } = await trackedVm(lab, 'slow');
    const fault = await control.inject({ kind: 'slow-finalize', vmId });
    const id = await begin(lab, vmId, [diskId], 'cold');
    await finalize(lab, vmId, id);
    await until('the fault', async () => (await control.fired(fault)) === 1);
    expect(childText(await lab.xml('GET', `/vms/${vmId}/backups/${id}`), 'phase')).toBe('finalizing');
    await control.release(fault);
    await lab.idle();
    expect(backupRow(lab, id)?.phase).toBe('succeeded');
    const floating = await lab.disk('floating');
    const other = await control.inject({ kind: 'slow-finalize', what: 'transfer', diskId: floating });
    const transferId = await transfer(lab, `<disk id="${floating}"/>`);
    await lab.action(`/imagetransfers/${transferId}/finalize`);
    await until('the other fault', async () => (await control.fired(other)) === 1);
    expect(phaseOf(lab, transferId)).toBe('finalizing_success');
    await control.release(other);
    await lab.idle();
    expect(phaseOf(lab, transferId)).toBe('finished_success');
    return 1;
  },
  'ticket-lost': async ({ lab, control }) => {
    const [down, up] = [await lab.disk('down'), await lab.disk('up')];
    const [download, upload] = [await transfer(lab, `<disk id="${down}"/>`), await transfer(lab, `<disk id="${up}"/>`, 'upload')];
    await control.inject({ kind: 'ticket-lost' });
    await until('the poll', () => phaseOf(lab, download) === 'finished_failure' && phaseOf(lab, upload) === 'paused_system');
    expect(await codes(lab)).toEqual(expect.arrayContaining([1065, 1034]));
    expect((await lab.api('GET', `/disks/${down}`)).status).toBe(200);
    return 1;
  },
  'transfer-stopped': async ({ lab, control }) => {
    const diskId = await lab.disk('d');
    const upload = await transfer(lab, `<disk id="${diskId}"/>`, 'upload');
    await control.inject({ kind: 'transfer-stopped', diskId, how: 'pause' });
    expect(phaseOf(lab, upload)).toBe('paused_system');
    await lab.action(`/imagetransfers/${upload}/resume`);
    await lab.idle();
    expect(phaseOf(lab, upload)).toBe('transferring');
    await control.inject({ kind: 'transfer-stopped', how: 'cancel' });
    expect([phaseOf(lab, upload), (await lab.api('GET', `/disks/${diskId}`)).status]).toEqual(['finished_failure', 404]);
    return 1;
  },
  'transfer-purged': async ({ lab, control }) => {
    const diskId = await lab.disk('d');
    await control.inject({ kind: 'transfer-purged', diskId });
    const id = await transfer(lab, `<disk id="${diskId}"/>`);
    await lab.action(`/imagetransfers/${id}/finalize`);
    await lab.idle();
    expect([(await lab.api('GET', `/imagetransfers/${id}`)).status, (await lab.action(`/imagetransfers/${id}/cancel`)).status]).toEqual([
      404, 200,
    ]);
    return 1;
  },
  'foreign-transfer': async ({ lab, control }) => {
    const diskId = await lab.disk('d');
    const fault = await control.inject({ kind: 'foreign-transfer', diskId });
    const refused = await lab.api('DELETE', `/disks/${diskId}`);
    expect([refused.status, refused.text]).toEqual([409, expect.stringContaining('Disk d is being transferred.')]);
    const fired = await control.fired(fault);
    await control.release(fault);
    await lab.idle();
    expect((await lab.api('DELETE', `/disks/${diskId}`)).status).toBe(200);
    return fired;
  },
  'foreign-backup': async ({ lab, control }) => {
    const { vmId, diskId } = await trackedVm(lab, 'shared', 'live');
    const ours = await backUp(lab, vmId, [diskId], 'live');
    await control.inject({ kind: 'foreign-backup', vmId });
    const [first, theirs] = await checkpoints(lab, vmId);
    expect([first, theirs]).toEqual([ours, expect.any(String)]);
    const next = await backUp(lab, vmId, [diskId], 'live', from(ours));
    expect(childText(await lab.xml('GET', `/vms/${vmId}/checkpoints/${next}`), 'parent_id')).toBe(theirs);
    return 1;
  },
  'foreign-disk': async ({ lab, control }) => {
    const { vmId, diskId } = await trackedVm(lab, 'grows', 'live');
    const checkpoint = await backUp(lab, vmId, [diskId], 'live');
    await control.inject({ kind: 'foreign-disk', vmId });
    await control.inject({ kind: 'foreign-disk', vmId, format: 'raw' });
    const ids = (await lab.xml('GET', `/vms/${vmId}/diskattachments`)).children.map((row) => row.attributes['id'] ?? '');
    const id = await begin(lab, vmId, ids, 'live', from(checkpoint));
    const modes = (await lab.xml('GET', `/vms/${vmId}/backups/${id}/disks`)).children.map((disk) => [
      childText(disk, 'format'),
      childText(disk, 'backup_mode'),
    ]);
    expect(modes).toEqual([
      ['cow', 'incremental'],
      ['cow', 'full'],
      ['raw', 'full'],
    ]);
    expect(transferRow(lab, id)).toBeUndefined();
    return 1;
  },
};
