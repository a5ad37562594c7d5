"""Backs up, and restores, with the official SDK and the official imageio client, as a stranger's backup program would.

Usage: backup_walk.py <connection.json> backup <directory> <live|cold|hybrid> [<from checkpoint> <backing file>]
       backup_walk.py <connection.json> upload <file.qcow2>
Prints one JSON object with what it saw; any surprise is an exception.
"""
import json
import os
import sys
import time
import uuid

import ovirtsdk4 as sdk
from ovirt_imageio import client
from ovirtsdk4 import types

DEADLINE_SECONDS = 120


def wait_for(what, question):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError('timed out waiting for ' + what)


class Program:
    def __init__(self, system, ca_file):
        self.system = system
        self.ca_file = ca_file
        self.transfers = system.image_transfers_service()

    def start_transfer(self, **what):
        """The transfer once it transfers, and its service."""
        transfer = self.transfers.add(types.ImageTransfer(format=types.DiskFormat.RAW, inactivity_timeout=120, **what))
        service = self.transfers.image_transfer_service(transfer.id)
        phases = types.ImageTransferPhase
        wait_for('the transfer', lambda: service.get().phase != phases.INITIALIZING)
        transfer = service.get()
        assert transfer.phase == phases.TRANSFERRING, transfer.phase
        return transfer, service

    def finish_transfer(self, service):
        phases = types.ImageTransferPhase
        service.finalize()
        done = (phases.FINISHED_SUCCESS, phases.FINISHED_FAILURE)
        wait_for('the end of the transfer', lambda: service.get().phase in done)
        return service.get().phase.value

    def backup(self, directory, kind, checkpoint=None, backing=None):
        vm = self.system.vms_service().list(search='name=demo')[0]
        vm_service = self.system.vms_service().vm_service(vm.id)
        attachments = vm_service.disk_attachments_service().list()
        backups = vm_service.backups_service()
        backup_id = str(uuid.uuid4())
        backup = backups.add(
            types.Backup(id=backup_id, disks=[types.Disk(id=each.disk.id) for each in attachments], from_checkpoint_id=checkpoint),
            query={} if kind == 'hybrid' else {'legacy': True})
        assert backup.id == backup_id
        service = backups.backup_service(backup_id)
        wait_for('the backup', lambda: service.get().phase == types.BackupPhase.READY)
        seen = {'to_checkpoint': service.get().to_checkpoint_id, 'disks': [], 'transfers': []}
        for disk in service.disks_service().list():
            mode = disk.backup_mode.value
            seen['disks'].append([disk.alias, mode])
            if disk.alias == 'demo_Disk1':
                seen['file'] = self.download(disk, backup, directory, backing if mode == 'incremental' else None, seen)
        if kind == 'live':
            seen['finalize_meanwhile'] = self.finalize_meanwhile(service, backup)
        self.hold(directory)
        service.finalize()
        wait_for('the end of the backup', lambda: service.get().phase in (types.BackupPhase.SUCCEEDED, types.BackupPhase.FAILED))
        seen['phase'] = service.get().phase.value
        seen['checkpoints'] = [each.id for each in vm_service.checkpoints_service().list()]
        return seen

    def download(self, disk, backup, directory, backing, seen):
        transfer, service = self.start_transfer(
            disk=types.Disk(id=disk.id), backup=types.Backup(id=backup.id), direction=types.ImageTransferDirection.DOWNLOAD)
        path = os.path.join(directory, '%s.qcow2' % backup.id)
        more = {} if backing is None else {'incremental': True, 'backing_file': backing, 'backing_format': 'qcow2'}
        client.download(transfer.transfer_url, path, self.ca_file, **more)
        seen['transfers'].append(self.finish_transfer(service))
        return path

    def finalize_meanwhile(self, service, backup):
        disk = service.disks_service().list()[0]
        _, transfer = self.start_transfer(
            disk=types.Disk(id=disk.id), backup=types.Backup(id=backup.id), direction=types.ImageTransferDirection.DOWNLOAD)
        try:
            service.finalize()
        except sdk.Error as error:
            return error.code
        finally:
            self.finish_transfer(transfer)
        raise AssertionError('the engine finalized a backup that was being transferred')

    def hold(self, directory):
        """The backup stays ready until whoever called has looked at the same moment: his file `go` says so."""
        open(os.path.join(directory, 'ready'), 'w').close()
        wait_for('the caller', lambda: os.path.exists(os.path.join(directory, 'go')))
        for name in ('ready', 'go'):
            os.remove(os.path.join(directory, name))

    def upload(self, path):
        with open(path, 'rb') as image:
            image.seek(24)
            size = int.from_bytes(image.read(8), 'big')
        disk = self.system.disks_service().add(types.Disk(
            id=str(uuid.uuid4()), name='uploaded', format=types.DiskFormat.COW, provisioned_size=size, backup=types.DiskBackup.INCREMENTAL,
            storage_domains=[types.StorageDomain(name='data-1')]))
        service = self.system.disks_service().disk_service(disk.id)
        wait_for('the disk', lambda: service.get().status == types.DiskStatus.OK)
        transfer, transfer_service = self.start_transfer(disk=types.Disk(id=disk.id), direction=types.ImageTransferDirection.UPLOAD)
        locked = service.get().status.value
        client.upload(path, transfer.transfer_url, self.ca_file)
        return {'disk': disk.id, 'meanwhile': locked, 'end': self.finish_transfer(transfer_service), 'status': service.get().status.value}


def main():
    with open(sys.argv[1]) as file:
        settings = json.load(file)
    connection = sdk.Connection(url=settings['url'], username=settings['username'], password=settings['password'], ca_file=settings['caFile'])
    try:
        program = Program(connection.system_service(), settings['caFile'])
        print(json.dumps(getattr(program, sys.argv[2])(*sys.argv[3:])))
    finally:
        connection.close()


main()
