// Jobs and their steps, newest first.
import type { Context } from '../context';
import { notFound } from '../faults';
import { many, one, param, type Call, type Route } from '../http/call';
import { select, type SearchFields } from '../http/search';
import type { JobRecord, StepRecord } from '../state/model';
import { wire, type Wire } from '../wire/description';
import { links, ref } from './links';

function view(job: JobRecord): Wire {
  return wire(
    'job',
    {
      ...ref('jobs', job.id),
      auto_cleared: true,
      description: job.description,
      external: false,
      last_updated: new Date(job.updatedMs),
      start_time: new Date(job.startedMs),
      status: job.status,
      ...(job.endedMs === undefined ? {} : { end_time: new Date(job.endedMs) }),
    },
    links(['jobs', job.id], ['steps']),
  );
}

function stepView(job: JobRecord, step: StepRecord): Wire {
  return wire('step', {
    ...ref('jobs', job.id, 'steps', step.id),
    description: step.description,
    external: false,
    job: ref('jobs', job.id),
    number: step.number,
    start_time: new Date(step.startedMs),
    status: step.status,
    type: step.type,
    ...(step.progress === undefined ? {} : { progress: step.progress }),
    ...(step.endedMs === undefined ? {} : { end_time: new Date(step.endedMs) }),
  });
}

const fields: SearchFields<JobRecord> = {
  id: (job) => job.id,
  correlation_id: (job) => job.correlationId,
  status: (job) => job.status,
  description: (job) => job.description,
};

export function jobRoutes({ store }: Context): Route[] {
  const wanted = (call: Call): JobRecord => {
    const job = store.tables.jobs.get(param(call, 'job'));
    if (job === undefined) throw notFound();
    return job;
  };
  return [
    {
      method: 'GET',
      path: '/jobs',
      query: ['search', 'max', 'case_sensitive'],
      handle: (call) => many('job', select(store.tables.jobs.all().reverse(), call, fields).map(view)),
    },
    { method: 'GET', path: '/jobs/:job', handle: (call) => one(view(wanted(call))) },
    {
      method: 'GET',
      path: '/jobs/:job/steps',
      handle: (call) =>
        many(
          'step',
          wanted(call).steps.map((step) => stepView(wanted(call), step)),
        ),
    },
    {
      method: 'GET',
      path: '/jobs/:job/steps/:step',
      handle: (call) => {
        const job = wanted(call);
        const step = job.steps.find((candidate) => candidate.id === param(call, 'step'));
        if (step === undefined) throw notFound();
        return one(stepView(job, step));
      },
    },
  ];
}
