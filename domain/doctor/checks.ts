// What `holdfast doctor` looks at: one table of checks with meaning and remedy (docs/doctor.md prints it, a test compares), and the shape
// of a check's result. How facts become verdicts is in the files beside this one.
import { z } from 'zod';

export const verdicts = ['ok', 'warning', 'problem', 'skipped'] as const;
export type Verdict = (typeof verdicts)[number];

/** Who answers: checks of a group are asked together and are skipped together when nobody answers. */
export type CheckGroup = 'control' | 'engine' | 'appliance-vm' | 'mover' | 'appliance' | 'copies';

interface CheckRule {
  readonly group: CheckGroup;
  readonly title: string;
  readonly meaning: string;
  /** What mends it; a judgement that knows more says more. */
  readonly remedy: string;
}

export const checkTable = {
  'queue.control': { group: 'control', title: 'control worker', meaning: 'A worker serves the task queue of workflows and control activities.', remedy: 'Start a worker with role "control" on this Temporal namespace.' },
  'control.node': { group: 'control', title: 'Node on the control worker', meaning: 'The worker runs on a Node that Holdfast is made for.', remedy: 'Install Node 20.19 or newer on that machine.' },
  'control.clock': { group: 'control', title: 'clock of the control worker', meaning: 'It agrees with Temporal\'s: leases, deadlines and times in manifests depend on it.', remedy: 'Run chrony or another NTP client on both machines.' },
  'temporal.namespace': { group: 'control', title: 'Temporal namespace', meaning: 'The worker\'s own connection reaches the namespace and it is registered.', remedy: 'Create it (temporal operator namespace create) or correct temporal.namespace.' },
  'temporal.search-attributes': { group: 'control', title: 'search attributes', meaning: 'All of Holdfast\'s search attributes are registered with their type; a run that sets an unknown one cannot start.', remedy: 'Register each: temporal operator search-attribute create --namespace <namespace> --name <name> --type <Keyword, or Int for HoldfastLeftovers>' },
  'catalog.reachable': { group: 'control', title: 'catalog', meaning: 'PostgreSQL answers the control worker.', remedy: 'Start PostgreSQL, or correct the URL that catalog.url names.' },
  'catalog.version': { group: 'control', title: 'PostgreSQL version', meaning: 'PostgreSQL is version 14 or newer.', remedy: 'Upgrade PostgreSQL to 14 or newer.' },
  'catalog.migrations': { group: 'control', title: 'catalog schema', meaning: 'The catalog\'s schema is the one that this worker knows.', remedy: 'Restart the control worker, which applies the migrations; when the catalog is newer, upgrade the worker.' },
  'catalog.clock': { group: 'control', title: 'clock of the database', meaning: 'It agrees with the control worker\'s.', remedy: 'Run chrony or another NTP client on both machines.' },

  'engine.reachable': { group: 'engine', title: 'engine reachable', meaning: 'The engine\'s host and port answer the control worker.', remedy: 'Check engines.<name>.url, the network and firewalls from the control worker, and that ovirt-engine runs.' },
  'engine.certificate': { group: 'engine', title: 'engine certificate', meaning: 'It is signed by the configured CA, names the host in the url, and does not end soon.', remedy: 'Set engines.<name>.caFile to the engine\'s CA (https://<engine>/ovirt-engine/services/pki-resource?resource=ca-certificate&format=X509-PEM-CA) and use the host name in the certificate.' },
  'engine.login': { group: 'engine', title: 'engine log-in', meaning: 'The configured user may log in and read the API.', remedy: 'Correct engines.<name>.username (with its profile, such as admin@internal) and the secret it names.' },
  'engine.version': { group: 'engine', title: 'engine version', meaning: 'The engine speaks REST API v4 as of oVirt 4.4 or newer.', remedy: 'Upgrade the engine to 4.4 or newer.' },
  'engine.clock': { group: 'engine', title: 'clock of the engine', meaning: 'It agrees with the control worker\'s.', remedy: 'Run chrony or another NTP client on both machines.' },
  'engine.permissions': { group: 'engine', title: 'engine permissions', meaning: 'The user\'s roles permit every action that backups and restores need, on System.', remedy: 'Give the user a role with the named permits on System (Administration, Configure, System Permissions); SuperUser is the simplest.' },
  'engine.vm-backups': { group: 'engine', title: 'VM backups', meaning: 'The engine makes VM backups with change tracking and remembers how they ended: the method "transfer" rests on them.', remedy: 'Upgrade the engine, or use the method "appliance" only.' },
  'engine.transfer-permissions': { group: 'engine', title: 'permissions for transfer', meaning: 'The user\'s roles permit what the method "transfer" needs besides. As long as the engine has an appliance, what is missing is a warning.', remedy: 'Give the user a role with the named permits on System (Administration, Configure, System Permissions), or use the method "appliance" only.' },
  'engine.appliance': { group: 'engine', title: 'appliance configured', meaning: 'The control worker knows at least one appliance of the engine: without one only the method "transfer" can be used.', remedy: 'Name the VM that runs the appliance\'s worker in engines.<name>.appliances of the control worker.' },

  'appliance.up': { group: 'appliance-vm', title: 'appliance VM up', meaning: 'The engine knows the appliance and it is up: disks are plugged into it while it runs.', remedy: 'Start the VM, or correct engines.<name>.appliances.' },
  'appliance.virtio-scsi': { group: 'appliance-vm', title: 'VirtIO-SCSI', meaning: 'The appliance has a VirtIO-SCSI controller: only that shows a disk\'s whole serial.', remedy: 'Edit the VM with it shut down: Resource Allocation, VirtIO-SCSI Enabled.' },
  'appliance.snapshots': { group: 'appliance-vm', title: 'no snapshots of the appliance', meaning: 'The appliance has no snapshots of its own: a previewed or locked one blocks every attachment, any other keeps the attached disks.', remedy: 'Remove the snapshots of the appliance VM (commit or undo a preview first).' },

  'queue.mover': { group: 'mover', title: 'mover', meaning: 'A worker serves the short task queue of the repository.', remedy: 'Start a worker with role "mover" whose configuration names this repository.' },
  'mover.programs': { group: 'mover', title: 'programs on the mover', meaning: 'qemu-img, qemu-nbd and setpriv are there in a fitting version.', remedy: 'Install qemu-utils (qemu-img on RPM systems) and util-linux 2.33 or newer.' },
  'mover.node': { group: 'mover', title: 'Node on the mover', meaning: 'The worker runs on a Node that Holdfast is made for.', remedy: 'Install Node 20.19 or newer on that machine.' },
  'mover.clock': { group: 'mover', title: 'clock of the mover', meaning: 'It agrees with Temporal\'s: image locks of other machines are judged by it.', remedy: 'Run chrony or another NTP client on both machines.' },
  'repository.writable': { group: 'mover', title: 'repository writable', meaning: 'The mover can write, flush, link, rename and remove in it.', remedy: 'Mount it for writing, and give its directory to the user that runs the worker.' },
  'repository.space': { group: 'mover', title: 'repository space', meaning: 'It has room for backups.', remedy: 'Free space, enlarge the file system, or raise the quota.' },
  'repository.flush': { group: 'mover', title: 'repository flush', meaning: 'What is flushed stays over a power cut: a sealed backup relies on it. It is judged by the file system, its mount options and the time that a flush takes.', remedy: 'Use a disk file system with barriers, and export NFS with sync.' },
  'repository.locking': { group: 'mover', title: 'image locks', meaning: 'A second QEMU is refused while one writes an image: the last fence between two writers on different machines.', remedy: 'Mount with locks that reach the server (NFS 4, or NFS 3 without nolock and local_lock).' },
  'host.data-daemon': { group: 'mover', title: 'data daemons of the hosts', meaning: 'The data daemon (ovirt-imageio) of every host that is up answers the mover, with a certificate of the configured CA that does not end soon: the method "transfer" reads and writes there. As long as the engine has an appliance, what is wrong is a warning.', remedy: 'Start ovirt-imageio on the host and open its TCP port (54322) to the mover; name the engine in the mover\'s configuration as in the control worker\'s, caFile included; or use the method "appliance" only.' },

  'queue.appliance': { group: 'appliance', title: 'appliance worker', meaning: 'A worker in the appliance serves its short task queue.', remedy: 'Start a worker with role "appliance" in that VM; appliance.engine and appliance.vmId must name it.' },
  'appliance.devices': { group: 'appliance', title: 'devices directory', meaning: 'The directory where attached disks appear by serial is there.', remedy: 'See that udev runs in the appliance, and correct appliance.devices.' },
  'appliance.lvm': { group: 'appliance', title: 'LVM in the appliance', meaning: 'LVM there leaves foreign disks alone; otherwise it activates guests\' volume groups, and detaching fails.', remedy: 'Use LVM\'s devices file (vgimportdevices -a), or set global_filter in /etc/lvm/lvm.conf to accept only the appliance\'s own disk.' },
  'appliance.repository': { group: 'appliance', title: 'repository in the appliance', meaning: 'The appliance writes to the same repository as the mover.', remedy: 'Mount the repository in the appliance at the path in its configuration, for writing.' },
  'appliance.programs': { group: 'appliance', title: 'programs in the appliance', meaning: 'qemu-img, qemu-nbd and setpriv are there in a fitting version.', remedy: 'Install qemu-utils (qemu-img on RPM systems) and util-linux 2.33 or newer.' },
  'appliance.node': { group: 'appliance', title: 'Node in the appliance', meaning: 'The worker runs on a Node that Holdfast is made for.', remedy: 'Install Node 20.19 or newer in the appliance.' },
  'appliance.clock': { group: 'appliance', title: 'clock of the appliance', meaning: 'It agrees with Temporal\'s: image locks of other machines are judged by it.', remedy: 'Run chrony or another NTP client on both machines.' },
  'queue.copies': { group: 'copies', title: 'copy slots', meaning: 'The appliance\'s worker takes copies: its long task queue is served and has a free slot.', remedy: 'Wait for running copies, raise limits.copiesPerWorker, or restart the worker in the appliance.' },
} as const satisfies Readonly<Record<string, CheckRule>>;
export type CheckId = keyof typeof checkTable;
export const checkIds = Object.keys(checkTable) as readonly CheckId[];

export const checkSchema = z.object({
  /** Open: a newer worker may check more than this client knows. */
  id: z.string(),
  title: z.string(),
  /** What was looked at: `engine lab`, `repository main`, `appliance <VM id> of lab`. */
  object: z.string(),
  verdict: z.enum(verdicts),
  text: z.string(),
  /** Empty when all is well. */
  remedy: z.string(),
});
export type Check = z.infer<typeof checkSchema>;

export interface Judgement {
  readonly verdict: Verdict;
  readonly text: string;
  readonly remedy?: string;
}

export const ok = (text: string): Judgement => ({ verdict: 'ok', text });
export const warning = (text: string, remedy?: string): Judgement => ({ verdict: 'warning', text, ...(remedy === undefined ? {} : { remedy }) });
export const problem = (text: string, remedy?: string): Judgement => ({ verdict: 'problem', text, ...(remedy === undefined ? {} : { remedy }) });
export const skipped = (text: string): Judgement => ({ verdict: 'skipped', text });

export function check(id: CheckId, object: string, { verdict, text, remedy }: Judgement): Check {
  const mends = verdict === 'warning' || verdict === 'problem';
  return { id, title: checkTable[id].title, object, verdict, text, remedy: mends ? (remedy ?? checkTable[id].remedy) : '' };
}

/** The checks of a group that cannot be made, each with the reason. `but` have been made already. */
export function skipRest(group: CheckGroup, object: string, why: string, but: readonly Check[]): readonly Check[] {
  const made = new Set<string>(but.map((each) => each.id));
  return checkIds.filter((id) => checkTable[id].group === group && !made.has(id)).map((id) => check(id, object, skipped(why)));
}

export function countVerdicts(checks: readonly Check[]): Readonly<Record<Verdict, number>> {
  const of = (verdict: Verdict): number => checks.filter((each) => each.verdict === verdict).length;
  return { ok: of('ok'), warning: of('warning'), problem: of('problem'), skipped: of('skipped') };
}
