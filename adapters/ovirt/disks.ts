// Disks by themselves, and the disks of a VM with everything that a restore must give back.
import type { DiskSettings } from '../../domain/disks';
import { HoldfastError } from '../../domain/failures';
import { type Connection, pathOf, queryOf, unlessAbsent } from './connection';
import type { Engine, NewDisk, VmDisk } from './port';
import { attachmentSchema, diskSchema, listOf, parseAnswer, type WireAttachment, type WireDisk } from './wire';

type DiskCalls = Pick<Engine, 'getDisk' | 'createDisk' | 'removeDisk' | 'listVmDisks'>;

export function diskCalls(engine: Connection): DiskCalls {
  const readDisk = async (diskId: string): Promise<WireDisk | undefined> => {
    const what = `reading disk ${diskId}`;
    const answer = await unlessAbsent(engine.call({ method: 'GET', path: pathOf('disks', diskId), what }));
    return answer && parseAnswer(diskSchema, answer.body, what, engine.engineName);
  };
  return {
    async getDisk(diskId) {
      const disk = await readDisk(diskId);
      return disk && { id: disk.id, alias: aliasOf(disk), status: disk.status, virtualBytes: sizeOf(disk) };
    },
    async createDisk(disk) {
      const what = `creating disk ${disk.id} ("${disk.settings.alias}") in storage domain ${disk.storageDomainId}`;
      await engine.call({ method: 'POST', path: pathOf('disks'), body: newDiskBody(disk), what });
    },
    async removeDisk(diskId) {
      await unlessAbsent(engine.call({ method: 'DELETE', path: pathOf('disks', diskId), what: `removing disk ${diskId}` }));
    },
    async listVmDisks(vmId) {
      const what = `listing the disks of VM ${vmId}`;
      const path = pathOf('vms', vmId, 'diskattachments') + queryOf({ follow: 'disk' });
      const { body } = await engine.call({ method: 'GET', path, what });
      const attachments = parseAnswer(listOf('disk_attachment', attachmentSchema), body, what, engine.engineName);
      const disks: VmDisk[] = [];
      for (const attachment of attachments) {
        // An engine that did not follow the link leaves only the id.
        const inlined = attachment.disk?.['provisioned_size'] !== undefined || attachment.disk?.['lun_storage'] !== undefined;
        const disk = inlined ? parseAnswer(diskSchema, attachment.disk, what, engine.engineName) : await readDisk(attachment.id);
        if (disk !== undefined) disks.push(vmDiskOf(attachment, disk, engine.engineName));
      }
      return disks;
    },
  };
}

/** An explicit id is taken on `/disks` only; below a VM it would mean "attach the disk with this id". */
function newDiskBody({ id, settings, storageDomainId }: NewDisk): unknown {
  return {
    id,
    alias: settings.alias,
    description: settings.description,
    provisioned_size: String(settings.virtualBytes),
    format: settings.format,
    sparse: String(settings.sparse),
    backup: settings.backup,
    wipe_after_delete: String(settings.wipeAfterDelete),
    storage_domains: { storage_domain: [{ id: storageDomainId }] },
  };
}

function vmDiskOf(attachment: WireAttachment, disk: WireDisk, engineName: string): VmDisk {
  const settings: DiskSettings = {
    diskId: disk.id,
    alias: aliasOf(disk),
    description: disk.description,
    virtualBytes: sizeOf(disk),
    format: formatOf(disk, engineName),
    sparse: disk.sparse,
    backup: disk.backup,
    wipeAfterDelete: disk.wipe_after_delete,
    interface: attachment.interface,
    bootable: attachment.bootable,
    active: attachment.active,
    readOnly: attachment.read_only,
    passDiscard: attachment.pass_discard,
    ...optional('storageDomainId', disk.storage_domains?.storage_domain[0]?.id),
    ...optional('diskProfileId', disk.disk_profile?.id),
  };
  return {
    settings,
    // A LUN has no volume that could be locked or illegal.
    status: disk.storage_type === 'lun' ? 'ok' : disk.status,
    storageType: disk.storage_type,
    shareable: disk.shareable,
    contentType: disk.content_type,
    // `actual_size` is the active volume alone; the layers below count as well.
    actualBytes: Math.max(disk.actual_size ?? 0, disk.total_size ?? 0),
  };
}

function optional<Key extends string>(key: Key, value: string | undefined): Partial<Record<Key, string>> {
  return value === undefined ? {} : ({ [key]: value } as Partial<Record<Key, string>>);
}

const aliasOf = (disk: WireDisk): string => disk.alias ?? disk.name ?? disk.id;

/** 0 when the engine names no size (a LUN that it has not seen yet). */
const sizeOf = (disk: WireDisk): number =>
  disk.provisioned_size ?? (disk.lun_storage?.logical_units?.logical_unit ?? []).reduce((sum, unit) => sum + (unit.size ?? 0), 0);

function formatOf(disk: WireDisk, engineName: string): DiskSettings['format'] {
  if (disk.format !== undefined) return disk.format;
  if (disk.storage_type !== 'image') return 'raw';
  throw new HoldfastError('engine.protocol', `Engine "${engineName}" does not say the format of disk ${disk.id} ("${aliasOf(disk)}").`, { engine: engineName, diskId: disk.id });
}
