// Is there a fresh full backup of the engine itself? Pure: what the log of engine backups says is read elsewhere. The settings have the names and
// defaults of engine-config (seed "Backup Awareness"); where the real engine is kinder than the seed, the seed counts: age is compared exactly (the
// engine compares whole elapsed days and warns a day late), and one scope alone clears nothing (its procedure clears on any success).
import { formatDuration } from '../units';

/** Of engine-backup; `all` is what a caller asks for and never what is logged. From cinderlib on: newer engines. */
export const engineBackupScopes = ['db', 'files', 'dwhdb', 'reportsdb', 'cinderlib', 'cinderlibdb', 'grafanadb', 'keycloak', 'keycloakdb', 'managedblock'] as const;
export type EngineBackupScope = (typeof engineBackupScopes)[number];

/** A full backup has both: without the database there is no inventory, without the files no certificate that a host would trust. */
export const scopesOfFullBackup = ['db', 'files'] as const satisfies readonly EngineBackupScope[];

export interface AwarenessPolicy {
  /** BackupCheckPeriodInHours; -1 disables. */
  readonly checkPeriodHours: number;
  /** BackupAlertPeriodInDays; fractions are allowed. */
  readonly alertPeriodDays: number;
}

export const defaultAwarenessPolicy: AwarenessPolicy = { checkPeriodHours: 6, alertPeriodDays: 1 };
export const disabledPeriod = -1;

/** A completed backup of one scope; failed attempts and starts neither count nor clear, so they are not asked for. */
export interface CompletedEngineBackup {
  readonly scope: EngineBackupScope;
  readonly doneAtMs: number;
}

export type EngineBackupState = 'disabled' | 'fresh' | 'no-full-backup' | 'old-backup';

export interface EngineBackupVerdict {
  readonly state: EngineBackupState;
  /** The older of the two scopes' newest backups; absent while there is no full one. */
  readonly backedUpAtMs?: number;
  /** What is at risk, and the command that mends it; absent when nothing is wrong. */
  readonly text?: string;
  /** Backups that claim to be of a time that has not come: named, not believed. */
  readonly notBelieved: readonly CompletedEngineBackup[];
}

const dayMs = 86_400_000;
const remedy = 'Run on the engine\'s host: engine-backup --mode=backup --scope=all --file=/var/lib/ovirt-engine-backup/engine.backup --log=/var/log/ovirt-engine-backup/engine.log';
const atRisk = 'If its host or database is lost, everything that it knows since then is: VMs, disks, networks, permissions, and the certificates that its hosts trust.';

/** `completed`: of this engine, in any order. */
export function judgeEngineBackup(engine: string, completed: readonly CompletedEngineBackup[], policy: AwarenessPolicy, nowMs: number): EngineBackupVerdict {
  const notBelieved = completed.filter(({ doneAtMs }) => doneAtMs > nowMs);
  if (policy.checkPeriodHours === disabledPeriod) return { state: 'disabled', notBelieved };
  const newest = scopesOfFullBackup.map((scope) => ({ scope, atMs: newestOf(completed, scope, nowMs) }));
  const missing = newest.filter(({ atMs }) => atMs === undefined).map(({ scope }) => scope);
  const future = notBelieved.map(({ scope, doneAtMs }) => ` A backup of ${scope} claims to be of ${new Date(doneAtMs).toISOString()}, which has not come: it does not count. Set the clock of the engine's host right.`).join('');
  if (missing.length > 0) {
    return { state: 'no-full-backup', notBelieved, text: `There is no full backup of engine ${engine}: ${missing.join(' and ')} ${missing.length === 1 ? 'has' : 'have'} never been backed up. ${atRisk}${future} ${remedy}` };
  }
  const backedUpAtMs = Math.min(...newest.map(({ atMs = 0 }) => atMs));
  const ageMs = nowMs - backedUpAtMs;
  if (ageMs <= policy.alertPeriodDays * dayMs) return { state: 'fresh', backedUpAtMs, notBelieved };
  const oldest = newest.filter(({ atMs }) => atMs === backedUpAtMs).map(({ scope }) => scope).join(' and ');
  const limit = formatDuration(policy.alertPeriodDays * (dayMs / 1000));
  return { state: 'old-backup', backedUpAtMs, notBelieved, text: `The newest full backup of engine ${engine} is ${formatDuration(ageMs / 1000)} old (${oldest}: ${new Date(backedUpAtMs).toISOString()}), at most ${limit} are allowed. ${atRisk}${future} ${remedy}` };
}

function newestOf(completed: readonly CompletedEngineBackup[], scope: EngineBackupScope, nowMs: number): number | undefined {
  const times = completed.filter((each) => each.scope === scope && each.doneAtMs <= nowMs).map(({ doneAtMs }) => doneAtMs);
  return times.length === 0 ? undefined : Math.max(...times);
}
