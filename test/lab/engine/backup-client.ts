// Bodies and short ways of VM backups and image transfers, for the lab's own tests.
import { childText } from '../../../lab/engine/xml';
import type { BackupRecord, TransferRecord } from '../../../lab/engine/state/backup-model';
import type { Lab, Reply } from './lab-client';

export type Kind = 'live' | 'cold' | 'hybrid';

export function backupBody(diskIds: readonly string[], extra = '', id?: string): string {
  const attribute = id === undefined ? '' : ` id="${id}"`;
  return `<backup${attribute}>${extra}<disks>${diskIds.map((disk) => `<disk id="${disk}"/>`).join('')}</disks></backup>`;
}

export function from(checkpointId: string): string {
  return `<from_checkpoint_id>${checkpointId}</from_checkpoint_id>`;
}

/** A VM with one cow disk that has incremental backup enabled; it runs for a live backup. */
export async function trackedVm(lab: Lab, name: string, kind: Kind = 'cold'): Promise<{ vmId: string; diskId: string }> {
  const vmId = await lab.vm(name);
  const diskId = await lab.disk(`${name}_Disk1`, '<backup>incremental</backup>');
  await lab.attach(vmId, diskId, '<active>true</active><bootable>true</bootable>');
  if (kind === 'live') await lab.start(vmId);
  return { vmId, diskId };
}

export function askBackup(lab: Lab, vmId: string, diskIds: readonly string[], kind: Kind, extra = '', id?: string): Promise<Reply> {
  return lab.api('POST', `/vms/${vmId}/backups${kind === 'hybrid' ? '' : '?legacy=true'}`, { body: backupBody(diskIds, extra, id) });
}

/** Started, and all that follows the answer done. */
export async function begin(lab: Lab, vmId: string, diskIds: readonly string[], kind: Kind, extra = ''): Promise<string> {
  const reply = await askBackup(lab, vmId, diskIds, kind, extra);
  if (reply.status !== 201) throw new Error(reply.text);
  await lab.idle();
  return /id="([0-9a-f-]+)"/.exec(reply.text)?.[1] ?? '';
}

export function finalize(lab: Lab, vmId: string, backupId: string): Promise<Reply> {
  return lab.action(`/vms/${vmId}/backups/${backupId}/finalize`);
}

/** Until a hybrid backup has been noticed by the engine's poll, too. */
export async function finish(lab: Lab, vmId: string, backupId: string): Promise<void> {
  const reply = await finalize(lab, vmId, backupId);
  if (reply.status !== 200) throw new Error(reply.text);
  await until('the end of the backup', () =>
    ['succeeded', 'failed'].includes(lab.engine.context.store.tables.backups.get(backupId)?.phase ?? 'failed'),
  );
}

/** A whole backup; the checkpoint that it leaves. */
export async function backUp(lab: Lab, vmId: string, diskIds: readonly string[], kind: Kind, extra = ''): Promise<string> {
  const id = await begin(lab, vmId, diskIds, kind, extra);
  const checkpoint = childText(await lab.xml('GET', `/vms/${vmId}/backups/${id}`), 'to_checkpoint_id') ?? '';
  await finish(lab, vmId, id);
  return checkpoint;
}

export function backupRow(lab: Lab, id: string): BackupRecord | undefined {
  return lab.engine.context.store.tables.backups.get(id);
}

export function transferBody(what: string, direction: 'download' | 'upload' = 'download', extra = '<format>raw</format>'): string {
  return `<image_transfer>${what}<direction>${direction}</direction>${extra}</image_transfer>`;
}

export function askTransfer(lab: Lab, what: string, direction: 'download' | 'upload' = 'download', extra?: string): Promise<Reply> {
  return lab.api('POST', '/imagetransfers', { body: transferBody(what, direction, extra) });
}

export async function transfer(lab: Lab, what: string, direction: 'download' | 'upload' = 'download', extra?: string): Promise<string> {
  const id = await lab.post('/imagetransfers', transferBody(what, direction, extra));
  await lab.idle();
  return id;
}

/** One whose session cannot be begun: the request fails without a message, and there is a transfer all the same. */
export async function refusedTransfer(lab: Lab, what: string, direction: 'download' | 'upload' = 'download', extra?: string): Promise<string> {
  const before = new Set(lab.engine.context.store.tables.transfers.all().map(({ id }) => id));
  const { status, text } = await askTransfer(lab, what, direction, extra);
  if (status !== 400 || !text.includes('<detail>[]</detail>')) throw new Error(`${status} ${text}`);
  await lab.idle();
  return lab.engine.context.store.tables.transfers.all().find(({ id }) => !before.has(id))?.id ?? '';
}

export function transferRow(lab: Lab, id: string): TransferRecord | undefined {
  return lab.engine.context.store.tables.transfers.get(id);
}

export function phaseOf(lab: Lab, id: string): string | undefined {
  return transferRow(lab, id)?.phase;
}

export function actOn(lab: Lab, transferId: string, action: string): Promise<number> {
  return lab.action(`/imagetransfers/${transferId}/${action}`).then(({ status }) => status);
}

export async function diskStatus(lab: Lab, id: string): Promise<string | undefined> {
  const reply = await lab.api('GET', `/disks/${id}`);
  return reply.status === 404 ? 'gone' : childText(await lab.xml('GET', `/disks/${id}`), 'status');
}

export async function checkpointCount(lab: Lab, vmId: string): Promise<number> {
  return (await lab.xml('GET', `/vms/${vmId}/checkpoints`)).children.length;
}

export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 1000; attempt += 1) {
    if (await holds()) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
  throw new Error(`timed out waiting for ${what}`);
}
