// What every failure code of a run means and what an operator does about it, and the same for what a run may leave behind. The compiler
// enforces one entry per code; the CLI, the run's page in Temporal's UI and docs/operators.md all show these words.
import type { FailureCode } from './failures';
import type { Leftover } from './holdings';

export interface Guidance {
  readonly cause: string;
  readonly remedy: string;
}

export const failureGuidance = {
  'input.invalid': { cause: 'A field of the request is missing or wrong; the message names it.', remedy: 'Correct the field. `holdfast schema <flow>` prints what is accepted.' },
  'plan.refused': { cause: 'The run may not start; all reasons are listed. Nothing was created.', remedy: 'Remove every listed reason, then start again.' },
  'engine.unreachable': { cause: 'No connection to the engine: wrong URL, firewall, engine down.', remedy: 'Check `engines.<name>.url` and the network from the control worker. It is retried by itself.' },
  'engine.unavailable': { cause: 'The engine answered 5xx: it restarts or is overloaded.', remedy: 'Wait; it is retried by itself. If it stays, look at engine.log.' },
  'engine.locked': { cause: 'The object is locked or busy by another operation in the engine.', remedy: 'Wait; it is retried by itself. If it stays, look at the engine\'s tasks and events for the object.' },
  'engine.conflict': { cause: 'The engine refused because of the object\'s state, and waiting will not change it.', remedy: 'Read the engine\'s text in the message and bring the object into the state it asks for.' },
  'engine.foreign': { cause: 'An object on the engine stands where ours should be but does not carry our mark.', remedy: 'It was left alone. Look at it in the engine; remove it by hand if it is a leftover.' },
  'engine.refused': { cause: 'The engine rejected the request itself (a validation fault).', remedy: 'Read the engine\'s text in the message. If the request is ours, report it as a bug.' },
  'engine.unauthorized': { cause: 'Wrong user name or password for the engine.', remedy: 'Correct `engines.<name>.username` (with its profile, such as admin@internal) and the secret it names.' },
  'engine.forbidden': { cause: 'The engine\'s user lacks a permission for this object.', remedy: 'Give the user the permissions listed under "The engine\'s user" in docs/operators.md.' },
  'engine.certificate': { cause: 'The engine\'s certificate is not signed by the configured CA, or names another host.', remedy: 'Set `engines.<name>.caFile` to the engine\'s CA (https://<engine>/ovirt-engine/services/pki-resource?resource=ca-certificate&format=X509-PEM-CA) and use the host name it was made for.' },
  'engine.not-found': { cause: 'The engine does not have the object: wrong id or name, or it was removed.', remedy: 'Check the id in the engine; `holdfast list vms` shows what it has.' },
  'engine.protocol': { cause: 'What answered does not speak oVirt\'s REST API v4 (a proxy\'s page, missing fields).', remedy: 'Check that `engines.<name>.url` ends in /ovirt-engine/api and that no proxy answers instead. It is retried by itself.' },
  'imageio.ticket-gone': { cause: 'The host no longer accepts the image transfer\'s ticket: it expired, or the engine cancelled or finalized the transfer.', remedy: 'A run that can go on asks the engine for a new transfer by itself. If it ends a run, look at the engine\'s events 1064, 1065 and 1072 for the disk.' },
  'imageio.unreachable': { cause: 'No connection to the host\'s data daemon (ovirt-imageio).', remedy: 'Open TCP port 54322 of the hosts (54323 of the engine for its proxy) to this worker, and see that ovirt-imageio runs. It is retried by itself.' },
  'imageio.certificate': { cause: 'The host\'s certificate is not signed by the configured CA, or names another host.', remedy: 'Set `engines.<name>.caFile` to the engine\'s CA, which signs its hosts\' certificates too; renew the host\'s certificate in the engine if it has expired.' },
  'imageio.refused': { cause: 'The host\'s data daemon rejected the request itself: a range beyond the disk, or something that this ticket or version does not allow.', remedy: 'Read the daemon\'s text in the message; see whether the disk was resized meanwhile. Report it as a bug otherwise.' },
  'imageio.no-changes': { cause: 'The host has no list of changed blocks for this transfer.', remedy: 'Nothing: the disk is read in full instead. If it happens every time, look at the VM\'s checkpoints in the engine.' },
  'imageio.io': { cause: 'A transfer broke: the connection was lost, the host\'s storage failed, or the answer made no sense.', remedy: 'It is retried by itself. If it stays, look at /var/log/ovirt-imageio/daemon.log on the host.' },
  'wait.pending': { cause: 'Not yet: the engine still works on it. Seen on activities in Temporal\'s UI, not as a run\'s end.', remedy: 'Nothing; it is asked again until the deadline.' },
  'wait.deadline': { cause: 'The engine did not finish within the deadline.', remedy: 'Look at the engine\'s tasks and events for the object; raise the matching key of `deadlines` if it only needs longer.' },
  'snapshot.failed': { cause: 'The engine gave up on the snapshot.', remedy: 'Read the engine\'s events of that VM; often the host could not write or the guest could not freeze. Then start again.' },
  'quiesce.failed': { cause: 'Quiescing was required, and nothing proves that the guest was frozen at the moment of the backup; the message says why.', remedy: 'See that the guest\'s agent runs and that its freeze hook is quick (it has 8 seconds together with the snapshot), then start again; or ask for best-effort.' },
  'guest.frozen': { cause: 'A guest that Holdfast froze, or asked to freeze, does not answer the thaw.', remedy: 'Look at the VM now: its writers may stand still. Thaw it by hand (REST API: vms/<id>/thawfilesystems; on its host: virsh domfsthaw; in the guest: fsfreeze -u), or restart its agent. The control workers go on trying.' },
  'backup.failed': { cause: 'The engine could not make or keep the VM backup that the disks are read from.', remedy: 'Read the engine\'s events of that VM, which the message quotes: a host without room for scratch disks, a guest that could not freeze, a VM that crashed. Then start again.' },
  'backup.incremental-refused': { cause: 'The engine cannot tell what changed since the checkpoint: it is gone or invalid, or the host has lost its change tracking.', remedy: 'Nothing: the run makes a full backup instead. It ends a run only when another kind was not allowed (`strict`); ask for a full one then.' },
  'transfer.failed': { cause: 'The engine or a host ended an image transfer before all of it was done.', remedy: 'Read the engine\'s events of the disk, which the message quotes, and /var/log/ovirt-imageio/daemon.log on the host. Then start again.' },
  'disk.illegal': { cause: 'The engine marks a disk as illegal: its chain on the storage is damaged.', remedy: 'Repair the disk in the engine (its snapshots, its storage domain) before backing it up; restore it from an earlier backup otherwise.' },
  'vm.failed': { cause: 'The VM could not be created or started as asked.', remedy: 'Read the engine\'s events of that VM: memory, CPU type and networks of the cluster are the usual causes.' },
  'device.not-found': { cause: 'The disk is attached, but no device with its serial has appeared in the appliance.', remedy: 'It is looked for again until `deadlines.attachSeconds` are over. If it stays away: check that the worker runs in the appliance VM it names and that `appliance.devices` is right.' },
  'device.foreign': { cause: 'The device found is not among what this run may touch; nothing was read or written.', remedy: 'Check that `appliance.vmId` is the VM the worker runs in, and that no second device in it has the disk\'s serial. Report it as a bug if it is.' },
  'device.changed': { cause: 'The device is not what it was when the copy began: size or identity differ.', remedy: 'Look for who detached or resized the disk during the copy, then start again.' },
  'appliance.unavailable': { cause: 'The appliance is down, or no worker of it answers.', remedy: 'Start the appliance VM and the worker with role "appliance" in it.' },
  'repository.not-writable': { cause: 'The repository\'s directory cannot be written: missing, not mounted, read-only, wrong owner.', remedy: 'Mount it, and give the worker\'s user write permission. An NFS export must not squash that user.' },
  'repository.full': { cause: 'The repository lacks space.', remedy: 'Free or add space, then start again; a partial backup was dropped by the undo.' },
  'repository.corrupt': { cause: 'A file in the repository is not what its manifest says, or a sealed backup stood where a partial one was expected.', remedy: 'Do not delete anything yet. Check the storage; restore from another backup.' },
  'repository.unknown': { cause: 'The worker\'s configuration has no repository of this name, or the directory belongs to something else or to a newer version.', remedy: 'Compare the name with `repositories` in the configuration of the worker that serves it; upgrade the worker if the format is newer.' },
  'repository.io': { cause: 'Reading or writing the repository failed.', remedy: 'It is retried by itself. If it stays, look at the worker\'s log and the storage.' },
  'repository.held': { cause: 'Another attempt still holds the image\'s lock.', remedy: 'Nothing; it is retried until the other attempt ends or its lease lapses.' },
  'repository.fenced': { cause: 'Another attempt took the image over, so this one stopped writing.', remedy: 'Nothing; the newer attempt goes on.' },
  'backup.not-found': { cause: 'The repository has no backup of this id.', remedy: 'Look at `holdfast list backups`; if the catalog may be behind, `holdfast catalog rebuild --repository <name>`.' },
  'backup.not-sealed': { cause: 'The directory is a partial backup: no manifest, so it is no backup.', remedy: 'Choose a listed backup.' },
  'chain.broken': { cause: 'A backup that this one depends on is missing in the repository, or is not the one that it was made on; the message names it.', remedy: 'Bring that directory back from a copy of the repository, unchanged; otherwise restore from a backup that does not depend on it. The next backup of the VM is a full one.' },
  'digest.mismatch': { cause: 'Data read does not have the digest in the manifest. What was restored so far was undone.', remedy: 'Check the repository\'s storage and the target; restore from another backup if it happens again.' },
  'blocks.server': { cause: 'QEMU\'s image server did not start or ended.', remedy: 'It is retried by itself. If it stays, check that qemu-img and qemu-nbd are installed beside the worker, and its log.' },
  'blocks.io': { cause: 'Reading or writing a disk failed.', remedy: 'It is retried by itself. If it stays, look at the kernel\'s log of the appliance and at the storage domain.' },
  'catalog.unavailable': { cause: 'No connection to PostgreSQL.', remedy: 'Start it, and check the URL that `catalog.url` names. It is retried by itself.' },
  'catalog.conflict': { cause: 'The catalog already has this request under another run.', remedy: 'Choose a new request id; `holdfast list runs` shows the run that has it.' },
  'webhook.failed': { cause: 'The receiver of alerts (alerts.webhook) is away, or refuses them.', remedy: 'Nothing is lost: it is told as soon as it answers with 2xx. Start it, or correct alerts.webhook in the control workers\' configuration.' },
  'config.invalid': { cause: 'A configuration or a variable is missing or wrong; the message names the key.', remedy: 'Correct it as docs/operators.md, "Configuration" says.' },
} as const satisfies Record<FailureCode, Guidance>;

export interface LeftoverGuidance {
  readonly what: string;
  readonly remedy: string;
}

export const leftoverGuidance = {
  snapshot: {
    what: 'a snapshot of the source VM, described `<prefix> backup <backup id>`',
    remedy: 'the next backup of the VM tries again to remove it; by hand: remove it in the engine (VM → Snapshots). Look first whether the engine is still merging it',
  },
  attachment: {
    what: 'a disk or a snapshot\'s disk, still attached to the appliance',
    remedy: 'the next backup of the VM tries again; by hand: detach it from the appliance in the engine. **Never tick "remove permanently"**',
  },
  'vm-backup': {
    what: 'a backup of the VM, described `<prefix> backup <backup id>`, that is not over in the engine: it locks the VM or its disks, and a hybrid one has a snapshot "Auto-generated for Backup VM"',
    remedy: 'the next backup of the VM tries again; by hand: end its image transfers in the engine (Storage → Disks), then finalize the backup through the REST API, and remove the snapshot that the reason names',
  },
  transfer: {
    what: 'an image transfer of a disk that is not over in the engine: the disk is locked',
    remedy: 'the next run on the VM tries again; by hand: cancel it in the engine (Storage → Disks). **Cancelling an upload removes the disk**',
  },
  checkpoint: { what: 'a checkpoint of the VM that no backup needs', remedy: 'the next backup of the VM by the method "transfer" tries again; it costs space in the disks\' images and nothing else' },
  disk: { what: 'a disk that a restore had created', remedy: 'remove it in the engine once nothing uses it' },
  vm: { what: 'a VM that a restore had created, with the comment `Holdfast restore <run id>`', remedy: 'look at it; then remove it, its disks too unless they are wanted' },
  'replaced-vm': {
    what: 'a VM that a restore took away and could not put back; its configuration and attachments lie in the file that the mark names, its disks float in the engine',
    remedy: 'mend what the reason says (a name, a MAC address or an id that somebody took meanwhile), then start any run on the VM: it puts the VM back first. By hand: create the VM from the OVF in the file and attach the disks that it lists',
  },
  'replaced-disk': { what: 'a disk of a VM that was replaced; the new VM stands', remedy: 'the next run on the VM tries again; by hand: remove it in the engine once nothing uses it' },
  freeze: {
    what: 'a guest that Holdfast asked to freeze, and whose agent has not answered the thaw: its file systems may stand still, now or when its agent wakes up',
    remedy: 'look at the VM at once; the control workers go on asking for the thaw, and clear the alert when it is answered. By hand: REST API vms/<id>/thawfilesystems, virsh domfsthaw on its host, fsfreeze -u in the guest, or restart its agent',
  },
  'partial-backup': {
    what: 'a directory without `manifest.json` in the repository',
    remedy: 'it is no backup and is never listed; remove the directory named in the mark when no run of that VM is open',
  },
} as const satisfies Record<Leftover['kind'], LeftoverGuidance>;

/** Of codes that only clients know there is nothing here. */
export function remedyOf(code: string): string | undefined {
  return Object.hasOwn(failureGuidance, code) ? failureGuidance[code as FailureCode].remedy : undefined;
}
