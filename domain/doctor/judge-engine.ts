// The engine: certificate, version, permissions; and the VM that is its appliance. Pure.
import { ok, problem, skipped, warning, type Judgement } from './checks';

export interface CertificateFacts {
  readonly verification: 'ca-file' | 'system' | 'off';
  readonly trusted: boolean;
  /** OpenSSL's word, when it is not trusted. */
  readonly reason?: string;
  readonly subject: string;
  readonly issuer: string;
  /** ISO 8601. */
  readonly expiresAt: string;
}

const dayMs = 24 * 3600 * 1000;
/** A certificate that ends sooner is a warning. */
export const soonDays = 30;

export const daysLeft = (expiresAt: string, nowMs: number): number => Math.floor((Date.parse(expiresAt) - nowMs) / dayMs);

export function judgeCertificate(facts: CertificateFacts, nowMs: number): Judgement {
  const days = daysLeft(facts.expiresAt, nowMs);
  const who = `${facts.subject}, signed by ${facts.issuer}, valid until ${facts.expiresAt.slice(0, 10)}`;
  if (days < 0) return problem(`${who}: it has expired`, 'Renew the engine\'s certificates (engine-setup --offline on the engine\'s host).');
  if (facts.verification === 'off') return warning(`${who}: it is not verified (insecure: true), so anybody may pretend to be the engine`, 'Set engines.<name>.caFile and take insecure away.');
  if (!facts.trusted) return problem(`${who}: not trusted (${facts.reason ?? 'unknown reason'}) ${facts.verification === 'system' ? 'by the system\'s CAs; no caFile is set' : 'by the CA in caFile'}`);
  if (days < soonDays) return warning(`${who}: ${days} days are left`, 'Renew the engine\'s certificates (engine-setup --offline on the engine\'s host).');
  return ok(`${who}; ${days} days are left`);
}

/** 4.4 is where the REST API got what Holdfast asks for; 4.3 and older are out of everybody's support. */
export function judgeEngineVersion(product: string, version: string): Judgement {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined || minor === undefined) return warning(`${product} says version "${version}", which cannot be read`);
  const number = Number(major) * 1000 + Number(minor);
  return number >= 4004 ? ok(`${product} ${version}`) : problem(`${product} ${version} is older than 4.4`);
}

/** For the method `transfer`. Engines before 4.4.7 forgot VM backups and image transfers as soon as they were over. */
export function judgeVmBackups(version: string): Judgement {
  const [, major, minor, build] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(version) ?? [];
  if (major === undefined || minor === undefined) return warning(`whether version "${version}" makes VM backups is not known`);
  const number = Number(major) * 1_000_000 + Number(minor) * 1_000 + Number(build ?? 0);
  if (number < 4_004_000) return warning(`${version} makes none: the method transfer cannot be used`);
  return number < 4_004_007 ? warning(`${version} forgets them as soon as they are over, so how one ended is judged by its disks alone`, 'Upgrade the engine to 4.4.7 or newer.') : ok(`${version} makes them`);
}

/** An action group of the engine, in the spelling of `/roles/<id>/permits`. */
interface NeededPermit {
  readonly permit: string;
  readonly why: string;
  readonly needed: 'always' | 'a VM with custom properties' | 'a restore as the original or in its place' | 'method transfer' | 'alerts in the engine\'s event log';
  /** Only a permission on System counts, whatever it is used on. */
  readonly systemOnly?: true;
}

/** From the engine's own action groups (facts: engine-rules section 7, ovirt-api section 2.10). */
export const neededPermits: readonly NeededPermit[] = [
  { permit: 'login', why: 'log in', needed: 'always' },
  { permit: 'manipulate_vm_snapshots', why: 'create and remove snapshots', needed: 'always' },
  { permit: 'configure_vm_storage', why: 'attach, plug and detach disks', needed: 'always' },
  { permit: 'attach_disk', why: 'attach disks to the appliance and to restored VMs', needed: 'always' },
  { permit: 'create_disk', why: 'create disks in a restore', needed: 'always' },
  { permit: 'delete_disk', why: 'undo a restore', needed: 'always' },
  { permit: 'create_vm', why: 'create the restored VM', needed: 'always' },
  { permit: 'delete_vm', why: 'undo a restore, replace a VM', needed: 'always' },
    // ImportVmCommand asks on the source's storage domain; a configuration has none, and above the empty id is System alone.
  { permit: 'import_export_vm', why: 'create a VM from its saved configuration, which the engine checks on System', needed: 'always', systemOnly: true },
  { permit: 'run_vm', why: 'start the restored VM', needed: 'always' },
  { permit: 'stop_vm', why: 'stop a restored VM that is undone', needed: 'always' },
  { permit: 'change_vm_custom_properties', why: 'restore a VM that has custom properties', needed: 'a VM with custom properties' },
  { permit: 'edit_vm_properties', why: 'give a restored original its comment back, undo the restore of a protected VM', needed: 'a restore as the original or in its place' },
  { permit: 'inject_external_events', why: 'post an alert', needed: 'alerts in the engine\'s event log', systemOnly: true },
  { permit: 'audit_log_management', why: 'take the event of an alert away when it is over', needed: 'alerts in the engine\'s event log', systemOnly: true },
  { permit: 'backup_disk', why: 'start VM backups', needed: 'method transfer' },
  { permit: 'edit_disk_properties', why: 'open image transfers', needed: 'method transfer' },
  { permit: 'create_disk', why: 'act on image transfers, which the engine checks on System', needed: 'method transfer', systemOnly: true },
];

/** One permission of the logged-in user, its groups' included. */
export interface PermissionFacts {
  readonly role: string;
  readonly permits: readonly string[];
  /** `system`, or what it is limited to: `cluster <id>`. */
  readonly on: string;
}

export function judgePermissions(user: string, permissions: readonly PermissionFacts[]): Judgement {
  const onSystem = new Set(permissions.filter(({ on }) => on === 'system').flatMap(({ permits }) => permits));
  const somewhere = new Set(permissions.flatMap(({ permits }) => permits));
  const asked = neededPermits.filter(({ needed }) => needed !== 'method transfer');
  const lacking = asked.filter(({ permit, systemOnly }) => !(systemOnly ? onSystem : somewhere).has(permit));
  const missing = lacking.filter(({ needed }) => needed === 'always');
  const later = lacking.filter(({ needed }) => needed !== 'always');
  const partly = asked.filter(({ permit, needed, systemOnly }) => needed === 'always' && !systemOnly && somewhere.has(permit) && !onSystem.has(permit));
  const held = permissions.map(({ role, on }) => `${role} on ${on}`).join(', ') || 'no role at all';
  if (missing.length > 0) return problem(`${user} (${held}) lacks ${list(missing)}`);
  if (partly.length > 0) return warning(`${user} (${held}) has ${list(partly)} only on some objects: VMs, disks and storage domains elsewhere are refused`);
  if (later.length > 0) return warning(`${user} (${held}) may do all that method appliance always needs; ${purposes(later)}`);
  return ok(`${user}: ${held}`);
}

/** What the method `transfer` needs besides. Without an appliance there is no other method, so that what is missing is a problem then. */
export function judgeTransferPermissions(user: string, permissions: readonly PermissionFacts[], { hasAppliances }: { readonly hasAppliances: boolean }): Judgement {
  const onSystem = new Set(permissions.filter(({ on }) => on === 'system').flatMap(({ permits }) => permits));
  const somewhere = new Set(permissions.flatMap(({ permits }) => permits));
  const asked = neededPermits.filter(({ needed }) => needed === 'method transfer');
  const missing = asked.filter(({ permit, systemOnly }) => !(systemOnly ? onSystem : somewhere).has(permit));
  const partly = asked.filter(({ permit, systemOnly }) => !systemOnly && somewhere.has(permit) && !onSystem.has(permit));
  if (missing.length > 0) return (hasAppliances ? warning : problem)(`${user} lacks ${list(missing)}: the method transfer cannot be used`);
  if (partly.length > 0) return warning(`${user} has ${list(partly)} only on some objects: by the method transfer disks elsewhere are refused`);
  return ok(`${user} may do all that the method transfer needs`);
}

function purposes(later: readonly NeededPermit[]): string {
  return [...new Set(later.map(({ needed }) => needed))].map((needed) => `${needed} would lack ${list(later.filter((each) => each.needed === needed))}`).join('; ');
}

function list(permits: readonly NeededPermit[]): string {
  return permits.map(({ permit, why, systemOnly }) => `${permit}${systemOnly ? ' on System' : ''} (${why})`).join(', ');
}

export function judgeApplianceStatus(vm: { readonly name: string; readonly status: string; readonly statusText: string } | undefined): Judgement {
  if (!vm) return problem('the engine knows no such VM');
  return vm.status === 'up' ? ok(`${vm.name} is up`) : problem(`${vm.name} is ${vm.statusText}`);
}

export function judgeVirtioScsi(enabled: boolean | undefined): Judgement {
  if (enabled === undefined) return skipped('the engine does not tell');
  return enabled ? ok('enabled') : problem('the VM has no VirtIO-SCSI controller');
}

export function judgeApplianceSnapshots(snapshots: readonly { readonly description: string; readonly status: string; readonly type: string }[]): Judgement {
  const own = snapshots.filter(({ type }) => type !== 'active');
  const name = ({ description, status }: { description: string; status: string }): string => `"${description}" (${status})`;
  const blocking = snapshots.filter(({ type, status }) => type === 'preview' || status === 'in_preview' || status === 'locked');
  if (blocking.length > 0) return problem(`nothing can be attached because of ${blocking.map(name).join(', ')}`);
  return own.length > 0 ? warning(`the appliance has ${own.map(name).join(', ')}: remove them before disks are attached, or detaching gets entangled with them`) : ok('none');
}
