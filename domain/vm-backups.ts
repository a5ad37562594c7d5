// What the engine's events say about a VM backup that is no more. Pure. Numbers: ovirt-api.md section 2, engine-rules.md section 8.

export interface BackupEvent {
  readonly code: number;
  readonly severity: 'normal' | 'warning' | 'error' | 'alert';
  readonly description: string;
}

export type BackupEnd = { readonly code: 'backup.failed' | 'backup.incremental-refused'; readonly why: string };

/** The engine could not go on from the checkpoint, and has dropped all of the VM's. */
const fullNeeded = 10_791;
/** What failed, before that it failed: no room for a scratch disk, nobody watched it. */
const causes: readonly number[] = [10_806, 10_814, 10_795];
const lostTracking = /\b(?:bitmap|checkpoint)s?\b/i;

/** `events`: of this backup, newest first. One that ended without a word while it went on from a checkpoint is worth a full one. */
export function judgeBackupEnd(events: readonly BackupEvent[], isIncremental: boolean): BackupEnd {
  const troubles = events.filter(({ severity }) => severity === 'error' || severity === 'alert');
  const told = events.find(({ code }) => code === fullNeeded) ?? troubles.find(({ code }) => causes.includes(code)) ?? troubles[0];
  const refused = isIncremental && (told === undefined || told.code === fullNeeded || lostTracking.test(told.description));
  return { code: refused ? 'backup.incremental-refused' : 'backup.failed', why: told === undefined ? 'the engine\'s events do not say why' : `event ${told.code}: ${told.description}` };
}
