"""Walks through the lab with the official oVirt Python SDK, as a stranger's program would.

Usage: walk.py <connection.json>. Prints one JSON object with what it saw; any surprise is an exception.
"""
import json
import sys
import time

import ovirtsdk4 as sdk
from ovirtsdk4 import types

DEADLINE_SECONDS = 120


def wait_for(what, question):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if question():
            return
        time.sleep(0.2)
    raise AssertionError('timed out waiting for ' + what)


def is_gone(service):
    try:
        service.get()
        return False
    except sdk.NotFoundError:
        return True


def walk(settings):
    seen = {}
    connection = sdk.Connection(
        url=settings['url'], username=settings['username'], password=settings['password'], ca_file=settings['caFile'])
    try:
        system = connection.system_service()
        api = system.get()
        seen['product'] = api.product_info.name
        seen['version'] = '%d.%d' % (api.product_info.version.major, api.product_info.version.minor)
        seen['places'] = [
            system.data_centers_service().list()[0].name,
            system.clusters_service().list()[0].name,
            system.hosts_service().list()[0].status.value,
            system.storage_domains_service().list()[0].name,
            system.vnic_profiles_service().list()[0].name,
            system.networks_service().list()[0].name,
            system.templates_service().list()[0].name,
        ]
        center = system.data_centers_service().list()[0]
        attached = system.data_centers_service().data_center_service(center.id).storage_domains_service().list()[0]
        seen['domain_status'] = attached.status.value

        vms = system.vms_service()
        seen['all_vms'] = sorted(vm.name for vm in vms.list())
        wait_for('demo', lambda: vms.list(search='name=demo and status=up'))
        wait_for('appliance', lambda: vms.list(search='name=appliance and status=up'))
        source = vms.list(search='name=demo and status=up')[0]
        appliance = vms.list(search='name=appl*', max=1)[0]
        seen['no_vm'] = len(vms.list(search='name=nobody'))
        source_service = vms.vm_service(source.id)
        seen['memory'] = source.memory
        nic = source_service.nics_service().list()[0]
        seen['mac_prefix'] = nic.mac.address[:5]

        followed = vms.list(search='name=demo', follow='disk_attachments.disk,nics')[0]
        seen['followed_disks'] = sorted(attachment.disk.alias for attachment in followed.disk_attachments)
        configured = source_service.get(all_content=True)
        seen['configuration_type'] = configured.initialization.configuration.type.value

        events = system.events_service()
        last = int(events.list(max=1)[0].index)
        snapshots = source_service.snapshots_service()
        snapshot = snapshots.add(
            types.Snapshot(description='sdk walk', persist_memorystate=False), query={'correlation_id': 'sdk-walk-1'})
        service = snapshots.snapshot_service(snapshot.id)
        wait_for('the snapshot', lambda: service.get().snapshot_status == types.SnapshotStatus.OK)
        ovf = service.get(query={'all_content': 'true'}).initialization.configuration.data
        seen['snapshot_ovf'] = ovf.startswith('<?xml') and 'StorageId' not in ovf
        disk = service.disks_service().list()[0]
        seen['snapshot_disk_status'] = disk.status.value

        attachments = vms.vm_service(appliance.id).disk_attachments_service()
        attachment = attachments.add(types.DiskAttachment(
            disk=types.Disk(id=disk.id, snapshot=types.Snapshot(id=snapshot.id)),
            interface=types.DiskInterface.VIRTIO_SCSI, active=True, bootable=False))
        seen['attached_active'] = attachments.attachment_service(attachment.id).get().active
        try:
            service.remove()
            raise AssertionError('the snapshot went although it is attached')
        except sdk.Error as error:
            seen['conflict'] = [error.code, 'attached to other VMs' in str(error)]
        attachments.attachment_service(attachment.id).remove()
        seen['detached'] = is_gone(attachments.attachment_service(attachment.id))

        service.remove(query={'correlation_id': 'sdk-walk-2'})
        wait_for('the merge', lambda: is_gone(service))
        jobs = system.jobs_service().list(search='correlation_id=sdk-walk-2')
        seen['jobs'] = [job.status.value for job in jobs]
        seen['steps'] = len(system.jobs_service().job_service(jobs[0].id).steps_service().list())
        seen['events'] = sorted(event.code for event in events.list(from_=last) if event.code in (45, 68, 342, 356, 2016, 2018))
        posted = events.add(types.Event(
            origin='walk', severity=types.LogSeverity.NORMAL, custom_id=int(time.time()), description='hello from the SDK'))
        seen['posted_code'] = events.event_service(posted.id).get().code

        tag = system.tags_service().add(types.Tag(name='walked'))
        source_service.tags_service().add(types.Tag(name='walked'))
        seen['tagged'] = [vm.name for vm in vms.list(search='tag=walked')]
        system.tags_service().tag_service(tag.id).remove()

        created = system.disks_service().add(types.Disk(
            alias='sdk-disk', provisioned_size=64 * 2**20, format=types.DiskFormat.COW, sparse=True,
            storage_domains=[types.StorageDomain(name='data-1')]))
        disk_service = system.disks_service().disk_service(created.id)
        wait_for('the disk', lambda: disk_service.get().status == types.DiskStatus.OK)
        disk_service.remove()
        wait_for('the disk to go', lambda: is_gone(disk_service))

        copy = vms.add(types.Vm(
            name='sdk-copy', cluster=types.Cluster(name='Default'),
            initialization=types.Initialization(
                regenerate_ids=True,
                configuration=types.Configuration(type=types.ConfigurationType.OVF, data=without_disks(ovf)))))
        copy_service = vms.vm_service(copy.id)
        seen['copy_disks'] = len(copy_service.disk_attachments_service().list())
        copy_service.update(types.Vm(comment='renamed'))
        seen['comment'] = copy_service.get().comment
        copy_service.start()
        wait_for('the copy', lambda: copy_service.get().status == types.VmStatus.UP)
        copy_service.stop()
        wait_for('the copy to stop', lambda: copy_service.get().status == types.VmStatus.DOWN)
        copy_service.remove()
        wait_for('the copy to go', lambda: is_gone(copy_service))
    finally:
        connection.close()
    return seen


def without_disks(ovf):
    import re
    ovf = re.sub(r'<References>.*?</References>', '<References></References>', ovf)
    ovf = re.sub(r'<Disk .*?</Disk>', '', ovf)
    return ''.join(
        part for part in re.split(r'(<Item>.*?</Item>)', ovf) if '<rasd:ResourceType>17</rasd:ResourceType>' not in part)


if __name__ == '__main__':
    with open(sys.argv[1]) as file:
        print(json.dumps(walk(json.load(file)), indent=2, sort_keys=True))
