// Disk attachments: which disk, or which snapshot's disk, is plugged into which VM. Detaching never deletes.
import { type Connection, pathOf, queryOf, unlessAbsent } from './connection';
import { HoldfastError } from '../../domain/failures';
import type { Attachment, Engine } from './port';
import { attachmentSchema, listOf, parseAnswer, type WireAttachment } from './wire';

type AttachmentCalls = Pick<Engine, 'listAttachments' | 'getAttachment' | 'attachSnapshotDisk' | 'attachDisk' | 'activateAttachment' | 'detachDisk'>;

export function attachmentCalls(engine: Connection): AttachmentCalls {
  const attach = async (vmId: string, body: unknown, what: string): Promise<void> => {
    await engine.call({ method: 'POST', path: pathOf('vms', vmId, 'diskattachments'), body, what });
  };
  return {
    async listAttachments(vmId) {
      const what = `listing the disk attachments of VM ${vmId}`;
      const { body } = await engine.call({ method: 'GET', path: pathOf('vms', vmId, 'diskattachments'), what });
      return parseAnswer(listOf('disk_attachment', attachmentSchema), body, what, engine.engineName).map(attachmentOf);
    },
    async getAttachment(vmId, diskId) {
      const what = `reading the attachment of disk ${diskId} to VM ${vmId}`;
      const answer = await unlessAbsent(engine.call({ method: 'GET', path: pathOf('vms', vmId, 'diskattachments', diskId), what }));
      return answer && attachmentOf(parseAnswer(attachmentSchema, answer.body, what, engine.engineName));
    },
    // virtio-scsi: its serial shows all 36 characters of the disk id, virtio-blk only the first 20.
    attachSnapshotDisk: ({ vmId, diskId, snapshotId }) =>
      attach(
        vmId,
        { disk: { id: diskId, snapshot: { id: snapshotId } }, interface: 'virtio_scsi', active: 'true', bootable: 'false' },
        `attaching disk ${diskId} of snapshot ${snapshotId} to VM ${vmId}`,
      ),
    attachDisk: ({ vmId, diskId, interface: bus, bootable, active, readOnly, passDiscard }) =>
      attach(
        vmId,
        { disk: { id: diskId }, interface: bus, bootable: String(bootable), active: String(active), read_only: String(readOnly), pass_discard: String(passDiscard) },
        `attaching disk ${diskId} to VM ${vmId}`,
      ),
    async activateAttachment(vmId, diskId) {
      const path = pathOf('vms', vmId, 'diskattachments', diskId);
      try {
        await engine.call({ method: 'PUT', path, body: { active: 'true' }, what: `activating disk ${diskId} of VM ${vmId}` });
      } catch (error) {
        if (!(error instanceof HoldfastError) || !/\bDisk is already activated\b/i.test(error.message)) throw error;
      }
    },
    async detachDisk(vmId, diskId) {
      const path = pathOf('vms', vmId, 'diskattachments', diskId) + queryOf({ detach_only: 'true' });
      await unlessAbsent(engine.call({ method: 'DELETE', path, what: `detaching disk ${diskId} from VM ${vmId}` }));
    },
  };
}

function attachmentOf(wire: WireAttachment): Attachment {
  const snapshotId = wire.disk?.snapshot?.id;
  return {
    diskId: wire.id,
    active: wire.active,
    interface: wire.interface,
    readOnly: wire.read_only,
    bootable: wire.bootable,
    ...(snapshotId === undefined ? {} : { snapshotId }),
  };
}
