// Jobs and their steps: how a client follows what goes on after the answer. Found by correlation id.
import { newId, type Actor } from './events';
import type { JobRecord, JobStatus, StepRecord } from './state/model';
import type { Store } from './state/store';

export interface OpenJob {
  readonly jobId: string;
  readonly stepId: string;
}

export class Jobs {
  constructor(private readonly store: Store) {}

  /** A job with its finished validation and one running step. */
  open(description: string, actor: Actor, stepDescription = 'Executing'): OpenJob {
    const nowMs = Date.now();
    const validating: StepRecord = {
      id: newId(),
      description: 'Validating',
      type: 'validating',
      status: 'finished',
      number: 0,
      startedMs: nowMs,
      endedMs: nowMs,
    };
    const executing: StepRecord = {
      id: newId(),
      description: stepDescription,
      type: 'executing',
      status: 'started',
      number: 1,
      startedMs: nowMs,
    };
    const job: JobRecord = {
      id: newId(),
      description,
      status: 'started',
      correlationId: actor.correlationId,
      startedMs: nowMs,
      updatedMs: nowMs,
      steps: [validating, executing],
    };
    this.store.write(() => {
      this.store.tables.jobs.put(job);
    });
    return { jobId: job.id, stepId: executing.id };
  }

  addStep(jobId: string, description: string): string {
    const step: StepRecord = { id: newId(), description, type: 'executing', status: 'started', number: 0, startedMs: Date.now() };
    this.change(jobId, (job) => ({ ...job, steps: [...job.steps, { ...step, number: job.steps.length }] }));
    return step.id;
  }

  progress(jobId: string, stepId: string, percent: number): void {
    this.change(jobId, (job) => ({
      ...job,
      steps: job.steps.map((step) => (step.id === stepId ? { ...step, progress: Math.floor(percent) } : step)),
    }));
  }

  endStep(jobId: string, stepId: string, status: JobStatus): void {
    const endedMs = Date.now();
    this.change(jobId, (job) => ({ ...job, steps: job.steps.map((step) => (step.id === stepId ? { ...step, status, endedMs } : step)) }));
  }

  /** Ends the job; steps that still run end with it. */
  end(jobId: string, status: JobStatus): void {
    const endedMs = Date.now();
    this.change(jobId, (job) => {
      const finalizing: StepRecord = {
        id: newId(),
        description: 'Finalizing',
        type: 'finalizing',
        status,
        number: job.steps.length,
        startedMs: endedMs,
        endedMs,
      };
      return {
        ...job,
        status,
        endedMs,
        steps: [...job.steps.map((step) => (step.status === 'started' ? { ...step, status, endedMs } : step)), finalizing],
      };
    });
  }

  private change(jobId: string, change: (job: JobRecord) => JobRecord): void {
    this.store.write(() => {
      const job = this.store.tables.jobs.get(jobId);
      if (job !== undefined) this.store.tables.jobs.put({ ...change(job), updatedMs: Date.now() });
    });
  }
}
