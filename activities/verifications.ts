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

/** One look: more verifications than this are not open at once. */
const openRunsLookedAt = 1_000;

/**
 * Closes verifications that were terminated. Other runs are closed by the next one on their VM, which has the VM's lock; a verification takes
 * no lock, so only Temporal knows that it is over. Whoever lists runs asks there first, so that none is called open that is not.
 */
export async function closeEndedVerifications({ catalog, engineOf, isExecutionRunning }: Pick<ControlDependencies, 'catalog' | 'engineOf' | 'isExecutionRunning'>): Promise<void> {
  const open = (await catalog.listRuns({ outcome: 'running', page: { limit: openRunsLookedAt, offset: 0 } })).filter(({ workflowType, engine }) => workflowType === 'verifyBackup' && isServed(engine));
  const latest = new Map([...open].reverse().map((run) => [run.workflowId, run]));
  await Promise.all(open.map(async (run) => {
    const { runId, workflowId } = run;
    // The id is a lock too: that a later run has it says that this one is over.
    if (latest.get(workflowId) === run && (await isExecutionRunning({ workflowId }))) return;
    // It may have closed itself since the list was read; what is open now nobody else will close.
    const [now] = await catalog.listRuns({ runId, page: { limit: 1, offset: 0 } });
    if (now?.outcome === 'running') await catalog.closeRun({ runId, outcome: 'failed', failure: { code: 'run.terminated', message: 'the run ended in Temporal without a result: it was terminated from outside' }, warnings: [], leftovers: [] });
  }));

  /** Another Temporal namespace may share the catalog, and runs of its engines are unknown here. */
  function isServed(engine: string): boolean {
    try {
      engineOf(engine);
      return true;
    } catch {
      return false;
    }
  }
}
