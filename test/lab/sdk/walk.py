"""Walks through the lab with the official oVirt Python SDK, as a stranger's program would.

Usage: walk.py <connection.json>. Prints one JSON object with what it saw, stop by stop; any surprise is an exception.
Takes away what it made, so that the lab is afterwards as it was.
"""
import json
import re
import sys
import time

import ovirtsdk4 as sdk
from ovirtsdk4 import types

DEADLINE_SECONDS = 120
MERGED, MADE = 'sdk-walk-removal', 'sdk-walk-snapshot'


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


def refusal(call):
    """The code and the text with which the engine refuses."""
    try:
        call()
    except sdk.Error as error:
        return [error.code, re.sub(r'.*Fault detail is "\[(.*?)\]".*', r'\1', str(error), flags=re.DOTALL)]
    raise AssertionError('the engine did not refuse')


def log_in(settings, password):
    return sdk.Connection(url=settings['url'], username=settings['username'], password=password, ca_file=settings['caFile'])


def wrong_password(settings):
    connection = log_in(settings, 'not ' + settings['password'])
    try:
        connection.system_service().get()
    except sdk.AuthError as error:
        return type(error).__name__
    finally:
        connection.close(logout=False)
    raise AssertionError('a wrong password was taken')


class Walk:
    def __init__(self, system):
        self.system = system
        self.vms = system.vms_service()
        self.demo = self.vms.list(search='name=demo and status=up')[0]
        self.demo_service = self.vms.vm_service(self.demo.id)
        self.appliance = self.vms.list(search='name=appl*', max=1)[0]

    def root(self):
        product = self.system.get().product_info
        return {'product': product.name, 'version': '%d.%d' % (product.version.major, product.version.minor)}

    def places(self):
        system = self.system
        center = system.data_centers_service().list()[0]
        attached = system.data_centers_service().data_center_service(center.id).storage_domains_service().list()[0]
        return {
            'data_center': center.name,
            'cluster': system.clusters_service().list()[0].name,
            'host': system.hosts_service().list()[0].status.value,
            'storage_domain': [attached.name, attached.status.value],
            'profile': system.vnic_profiles_service().list()[0].name,
            'network': system.networks_service().list()[0].name,
            'template': system.templates_service().list()[0].name,
        }

    def listings(self):
        followed = self.vms.list(search='name=demo', follow='disk_attachments.disk,nics')[0]
        configured = self.demo_service.get(all_content=True)
        return {
            'all': sorted(vm.name for vm in self.vms.list()),
            'first': len(self.vms.list(max=1)),
            'by_name': [vm.name for vm in self.vms.list(search='name=dem*')],
            'nobody': self.vms.list(search='name=nobody'),
            'memory': self.demo.memory,
            'followed_disks': sorted(attachment.disk.alias for attachment in followed.disk_attachments),
            'macs': [bool(re.match('^56:6f:', nic.mac.address)) for nic in self.demo_service.nics_service().list()],
            'configuration': configured.initialization.configuration.type.value,
            'unknown': is_gone(self.vms.vm_service('00000000-0000-4000-8000-000000000000')),
        }

    def snapshot(self):
        """Leaves self.snapshot_service and self.ovf for the stops that follow."""
        snapshots = self.demo_service.snapshots_service()
        made = snapshots.add(types.Snapshot(description='sdk walk', persist_memorystate=False), query={'correlation_id': MADE})
        self.snapshot_id = made.id
        self.snapshot_service = snapshots.snapshot_service(made.id)
        wait_for('the snapshot', lambda: self.snapshot_service.get().snapshot_status == types.SnapshotStatus.OK)
        self.ovf = self.snapshot_service.get(query={'all_content': 'true'}).initialization.configuration.data
        disks = self.snapshot_service.disks_service().list()
        self.snapshot_disk = disks[0]
        return {
            'listed': [each.description for each in snapshots.list() if each.snapshot_type == types.SnapshotType.REGULAR],
            'disks': sorted([disk.alias, disk.status.value] for disk in disks),
            'ovf': self.ovf.startswith('<?xml') and 'demo_Disk1' in self.ovf,
        }

    def attach(self):
        attachments = self.vms.vm_service(self.appliance.id).disk_attachments_service()
        before = [each.id for each in attachments.list()]
        made = attachments.add(types.DiskAttachment(
            disk=types.Disk(id=self.snapshot_disk.id, snapshot=types.Snapshot(id=self.snapshot_id)),
            interface=types.DiskInterface.VIRTIO_SCSI, active=True, bootable=False))
        service = attachments.attachment_service(made.id)
        seen = {
            'before': before,
            'is_the_disk': [each.id for each in attachments.list()] == [self.snapshot_disk.id],
            'active': service.get().active,
            'removal_meanwhile': refusal(self.snapshot_service.remove),
        }
        service.remove()
        return {**seen, 'detached': is_gone(service), 'after': [each.id for each in attachments.list()]}

    def remove_snapshot(self):
        self.snapshot_service.remove(query={'correlation_id': MERGED})
        wait_for('the merge', lambda: is_gone(self.snapshot_service))
        jobs = self.system.jobs_service().list(search='correlation_id=' + MERGED)
        steps = self.system.jobs_service().job_service(jobs[0].id).steps_service().list()
        return {'jobs': [job.status.value for job in jobs], 'steps': sorted({step.status.value for step in steps})}

    def events(self, since):
        """What happened since then, as [code, correlation id], and an event of our own."""
        events = self.system.events_service()
        ours = [[event.code, event.correlation_id] for event in events.list(from_=since) if event.correlation_id in (MADE, MERGED)]
        posted = events.add(types.Event(
            origin='walk', severity=types.LogSeverity.NORMAL, custom_id=int(time.time()), description='hello from the SDK'))
        read = events.event_service(posted.id).get()
        return {'ours': sorted(ours), 'posted': [read.origin, read.description, read.severity.value]}

    def tag(self):
        made = self.system.tags_service().add(types.Tag(name='walked'))
        self.demo_service.tags_service().add(types.Tag(name='walked'))
        found = [vm.name for vm in self.vms.list(search='tag=walked')]
        self.system.tags_service().tag_service(made.id).remove()
        return {'found': found, 'left': [tag.name for tag in self.demo_service.tags_service().list()]}

    def disk(self):
        disks = self.system.disks_service()
        made = disks.add(types.Disk(
            alias='sdk-disk', provisioned_size=64 * 2**20, format=types.DiskFormat.COW, sparse=True,
            storage_domains=[types.StorageDomain(name='data-1')]))
        service = disks.disk_service(made.id)
        wait_for('the disk', lambda: service.get().status == types.DiskStatus.OK)
        found = [disk.alias for disk in disks.list(search='alias=sdk-*')]
        service.remove()
        wait_for('the disk to go', lambda: is_gone(service))
        return {'bytes': made.provisioned_size, 'found': found}

    def copy_of_vm(self):
        """A VM from the snapshot's configuration, without its disks."""
        made = self.vms.add(types.Vm(
            name='sdk-copy', cluster=types.Cluster(name='Default'),
            initialization=types.Initialization(
                regenerate_ids=True,
                configuration=types.Configuration(type=types.ConfigurationType.OVF, data=without_disks(self.ovf)))))
        service = self.vms.vm_service(made.id)
        service.update(types.Vm(comment='renamed'))
        seen = {'own_id': made.id != self.demo.id, 'disks': len(service.disk_attachments_service().list()), 'comment': service.get().comment}
        service.start()
        wait_for('the copy', lambda: service.get().status == types.VmStatus.UP)
        seen['removal_while_up'] = refusal(service.remove)[0]
        service.stop()
        wait_for('the copy to stop', lambda: service.get().status == types.VmStatus.DOWN)
        service.remove()
        wait_for('the copy to go', lambda: is_gone(service))
        return seen


def without_disks(ovf):
    ovf = re.sub(r'<References>.*?</References>', '<References></References>', ovf, flags=re.DOTALL)
    ovf = re.sub(r'<Disk .*?</Disk>', '', ovf, flags=re.DOTALL)
    items = re.split(r'(<Item>.*?</Item>)', ovf, flags=re.DOTALL)
    return ''.join(part for part in items if '<rasd:ResourceType>17</rasd:ResourceType>' not in part)


def main(settings):
    connection = log_in(settings, settings['password'])
    try:
        system = connection.system_service()
        since = int(system.events_service().list(max=1)[0].index)
        walk = Walk(system)
        seen = {'root': walk.root(), 'places': walk.places(), 'vms': walk.listings()}
        for stop in (walk.snapshot, walk.attach, walk.remove_snapshot):
            seen[stop.__name__] = stop()
        seen['events'] = walk.events(since)
        for stop in (walk.tag, walk.disk, walk.copy_of_vm):
            seen[stop.__name__] = stop()
        seen['after'] = sorted(vm.name for vm in walk.vms.list()) + sorted(disk.alias for disk in system.disks_service().list())
    finally:
        connection.close()
    return {**seen, 'wrong_password': wrong_password(settings)}


if __name__ == '__main__':
    with open(sys.argv[1], encoding='utf-8') as file:
        print(json.dumps(main(json.load(file)), indent=2, sort_keys=True))
