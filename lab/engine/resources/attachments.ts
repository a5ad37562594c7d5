// Disk attachments of a VM: an existing disk, a snapshot of a disk, or a new disk made in place.
import { attachmentId, attachmentsOf, isRunning, needVm, type Context } from '../context';
import { addDisk } from '../commands/add-disk';
import { removeDisk } from '../commands/remove-disk';
import { attachDisk, detachDisk, refuseSecondBootDisk } from '../commands/attach-disk';
import { setActive } from '../commands/plug-disk';
import { htmlError, incomplete, invalidValue, notFound, unsupported } from '../faults';
import { bodyId, done, many, one, param, type Answer, type Call, type Route } from '../http/call';
import { select } from '../http/search';
import type { AttachmentRecord, DiskInterface } from '../state/model';
import { wire, type Wire } from '../wire/description';
import { diskInterfaces } from '../ovf/words';
import { changeDisk, changedDiskFields, newDiskFields, parseNewDisk } from './disks';
import { ref } from './links';

/** The engine does not tell from which snapshot an attached disk comes; `logical_name` needs an agent that the lab's guests lack. */
function view(attachment: AttachmentRecord): Wire {
  const { vmId, diskId } = attachment;
  return wire('disk_attachment', {
    ...ref('vms', vmId, 'diskattachments', diskId),
    active: attachment.active,
    bootable: attachment.bootable,
    disk: ref('disks', diskId),
    interface: attachment.interface,
    pass_discard: attachment.passDiscard,
    read_only: attachment.readOnly,
    uses_scsi_reservation: false,
    vm: ref('vms', vmId),
  });
}

function parseInterface(call: Call): DiskInterface | undefined {
  const word = call.body.word('interface');
  if (word === undefined) return undefined;
  if (!isInterface(word)) throw invalidValue(word, 'DiskInterface');
  return word;
}

function isInterface(word: string): word is DiskInterface {
  return word in diskInterfaces;
}

async function create(context: Context, call: Call): Promise<Answer> {
  const vm = needVm(context, param(call, 'vm'));
  const { body } = call;
  const disk = body.child('disk');
  const bus = parseInterface(call);
  if (disk === undefined || bus === undefined) throw incomplete('DiskAttachment', ['disk', 'interface']);
  // Malformed ids are an HTML 500 here (observed).
  const malformed = (): ReturnType<typeof htmlError> => htmlError(500, 'Internal Server Error');
  const diskId = bodyId(call, 'disk.id', malformed) ?? bodyId(call, 'id', malformed);
  const settings = {
    interface: bus,
    bootable: body.flag('bootable') ?? false,
    readOnly: body.flag('read_only') ?? false,
    passDiscard: body.flag('pass_discard') ?? false,
  };
  if (diskId !== undefined) {
    const snapshotId = bodyId(call, 'disk.snapshot.id', malformed);
    const request = {
      ...settings,
      vmId: vm.id,
      diskId,
      active: body.flag('active') ?? false,
      ...(snapshotId === undefined ? {} : { snapshotId }),
    };
    return { kind: 'created', item: view(await attachDisk(context, request, call.actor)) };
  }
  refuseSecondBootDisk(context, vm, settings);
  const wanted = parseNewDisk(context, call, disk);
  const started = await addDisk(context, wanted, call.actor, { vm, attachment: { ...settings, active: body.flag('active') ?? true } });
  const look = (): Wire => view(need(context, vm.id, started.diskId));
  return { kind: 'created', item: look(), settled: started.settled, again: () => Promise.resolve(look()) };
}

function need(context: Context, vmId: string, diskId: string): AttachmentRecord {
  const attachment = context.store.tables.attachments.get(attachmentId(vmId, diskId));
  if (attachment === undefined) throw notFound();
  return attachment;
}

/** Activation first, then the settings, which the lab changes only while the VM is down. */
async function update(context: Context, call: Call): Promise<Answer> {
  const vm = needVm(context, param(call, 'vm'));
  const attachment = need(context, vm.id, param(call, 'disk'));
  const active = call.body.flag('active');
  const disk = context.store.tables.disks.get(attachment.diskId);
  const diskBody = call.body.child('disk');
  const change = {
    interface: parseInterface(call) ?? attachment.interface,
    bootable: call.body.flag('bootable') ?? attachment.bootable,
    readOnly: call.body.flag('read_only') ?? attachment.readOnly,
    passDiscard: call.body.flag('pass_discard') ?? attachment.passDiscard,
  };
  const changed = (Object.keys(change) as (keyof typeof change)[]).some((key) => change[key] !== attachment[key]);
  if (changed && isRunning(vm)) throw unsupported('changing interface, bootable, read_only or pass_discard of a running VM');
  if (changed) refuseSecondBootDisk(context, vm, { bootable: change.bootable, diskId: attachment.diskId });
  // What is so already is no request (BackendDiskAttachmentResource.update); UpdateDisk comes after it in any case, and may be refused.
  if (active !== undefined && active !== attachment.active) await setActive(context, vm, attachment, active, call.actor);
  if (disk !== undefined) await changeDisk(context, disk, diskBody, call.actor);
  if (changed)
    context.store.write(() => {
      context.store.tables.attachments.patch(attachment.id, change);
    });
  return one(view(need(context, vm.id, attachment.diskId)));
}

async function remove(context: Context, call: Call): Promise<Answer> {
  const [{ id }, diskId] = [needVm(context, param(call, 'vm')), param(call, 'disk')];
  // Without detach_only the disk itself is removed, whatever the attachment shows.
  if (!call.query.flag('detach_only', true)) return done(removeDisk(context, need(context, id, diskId).diskId, call.actor));
  await detachDisk(context, id, diskId, call.actor);
  return done();
}

const settingFields = ['active', 'bootable', 'interface', 'read_only', 'pass_discard'];

export function attachmentRoutes(context: Context): Route[] {
  const path = '/vms/:vm/diskattachments';
  const rows = (call: Call): AttachmentRecord[] => select(attachmentsOf(context, needVm(context, param(call, 'vm')).id), call, {});
  return [
    { method: 'GET', path, query: ['max'], handle: (call) => many('disk_attachment', rows(call).map(view)) },
    {
      method: 'POST',
      path,
      body: {
        type: 'disk_attachment',
        accepts: ['id', ...settingFields, 'disk.snapshot.id', ...newDiskFields.map((field) => `disk.${field}`)],
      },
      handle: (call) => create(context, call),
    },
    {
      method: 'GET',
      path: `${path}/:disk`,
      handle: (call) => one(view(need(context, needVm(context, param(call, 'vm')).id, param(call, 'disk')))),
    },
    {
      method: 'PUT',
      path: `${path}/:disk`,
      body: { type: 'disk_attachment', accepts: ['id', 'vm.id', ...settingFields, ...changedDiskFields.map((field) => `disk.${field}`)] },
      handle: (call) => update(context, call),
    },
    { method: 'DELETE', path: `${path}/:disk`, query: ['detach_only', 'async'], handle: (call) => remove(context, call) },
  ];
}
