// Structured logs: one JSON line each on stderr, with run, VM and engine on every line about an activity.
import pino from 'pino';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';

export type Log = pino.Logger;

export function createLog(level: string): Log {
  return pino({ level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime, redact: ['password', '*.password', 'url.password'] }, pino.destination({ fd: 2, sync: true }));
}

const keys = ['runId', 'engine', 'vmId', 'diskId', 'backupId', 'repository'] as const;

/** Adds run, VM and engine to everything that is logged about an activity: from its input, and for the VM and engine of a lock from the workflow's id. */
export const activityLogAttributes: ActivityInterceptorsFactory = ({ info }) => {
  let attributes: Record<string, string> = ofLock(info.workflowExecution?.workflowId ?? '');
  return {
    inbound: {
      execute(input, next) {
        const [first] = input.args;
        if (typeof first === 'object' && first !== null) {
          const given = first as Record<string, unknown>;
          attributes = { ...attributes, ...Object.fromEntries(keys.flatMap((key) => (typeof given[key] === 'string' ? [[`holdfast.${key}`, given[key]]] : []))) };
        }
        return next(input);
      },
    },
    outbound: {
      getLogAttributes: (input, next) => next({ ...input, ...attributes }),
    },
  };
};

/** `vm/<engine>/<vmId>` */
function ofLock(workflowId: string): Record<string, string> {
  const [kind, engine, vmId] = workflowId.split('/');
  return kind === 'vm' && engine && vmId ? { 'holdfast.engine': engine, 'holdfast.vmId': vmId } : {};
}
