// What the catalog remembers of verifications. Reading the backup again is in transfer-copies.ts. Idempotency key: run and backup. Role control.
import type { Verification } from '../domain/manifest';
import type { ControlDependencies } from './dependencies';
import type { OfRun } from './of-run';

export interface RecordVerificationInput extends OfRun {
  readonly repository: string;
  readonly backupId: string;
  /** As far as the backup can still say. */
  readonly vmId?: string | undefined;
  readonly vmName?: string | undefined;
  readonly dataBytes: number;
  readonly failure: Verification['failure'];
}

export interface VerificationActivities {
  /** A verification takes no VM's lock, so its run has no VM in the catalog: the next run on the VM would take it for a terminated one. Only its name. */
  nameRun(input: OfRun & { readonly vmName: string }): Promise<void>;
  /** One that failed raises an alert, and one that passed clears it. */
  recordVerification(input: RecordVerificationInput): Promise<void>;
}

export function createVerificationActivities({ catalog }: ControlDependencies): VerificationActivities {
  return {
    nameRun: ({ runId, vmName }) => catalog.nameRun(runId, vmName),

    async recordVerification({ engine, runId, repository, backupId, vmId, vmName, dataBytes, failure }) {
      await catalog.recordVerification({ repository, backupId, runId, outcome: failure ? 'failed' : 'passed', dataBytes, failure });
      const key = `verification/${repository}/${backupId}`;
      if (!failure) {
        await catalog.clearAlert(key, 'it was verified again, and is what was sealed');
        return;
      }
      await catalog.raiseAlert({
        key,
        code: 'verification.failed',
        severity: 'alert',
        message: `Backup ${backupId}${vmName === undefined ? '' : ` of VM ${vmName}`} in repository ${repository} is not what was sealed: ${failure.message} [${failure.code}]. Do not count on it: choose another one, and look at the repository's storage.`,
        engine,
        ...(vmId === undefined ? {} : { vmId }),
        runId,
      });
    },
  };
}
