// Ids and names, and everything that is built from them: workflow ids, task queues, marks. Built here only, so that
// "the id is the lock" can be read in one place.
import { z } from 'zod';

/** A UUID in oVirt's own spelling (lower case). Not RFC-strict: oVirt uses ids such as the zero UUID. */
export const uuidSchema = z.string().regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, 'must be a UUID in lower case');

/** A name from the configuration (engine, repository): it becomes part of workflow ids, task queues and paths. */
export const configNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1-63 characters of a-z, 0-9 and "-", and start with a letter or digit');

export const zeroUuid = '00000000-0000-0000-0000-000000000000';

/** Workflow ids. Temporal allows one open run of an id, so `vm` is the per-VM lock that every flow on a VM takes that exists or shall exist again. */
export const workflowIds = {
  vm: (engine: string, vmId: string): string => `vm/${engine}/${vmId}`,
  restore: (requestId: string): string => `restore/${requestId}`,
  find: (engine: string, requestId: string): string => `find/${engine}/${requestId}`,
  catalog: (what: string, requestId: string): string => `catalog/${what}/${requestId}`,
  /** A backup has one id wherever it lies, and is verified once at a time. */
  verify: (backupId: string): string => `verify/${backupId}`,
  doctor: (requestId: string): string => `doctor/${requestId}`,
  awareness: (engine: string): string => `awareness/${engine}`,
  awarenessSettings: (what: string, engine: string, requestId: string): string => `awareness-settings/${what}/${engine}/${requestId}`,
  /** One delivery to a sink at a time: what it is told stays in order, and one that is down holds up no other. */
  events: (engine: string, sink: string): string => `events/${engine}/${sink}`,
  /** Of the launcher, which Temporal makes unique by the schedule's time. */
  launch: (workflowId: string): string => `launch/${workflowId}`,
} as const;

export const scheduleIds = { awareness: (engine: string): string => `backup-awareness/${engine}` } as const;

/** Task queues. Hour-long copies and short calls never share one: `.quick` lies beside each queue that copies. */
export const taskQueues = {
  control: 'holdfast',
  moverCopies: (repository: string): string => `mover.${repository}`,
  moverQuick: (repository: string): string => `mover.${repository}.quick`,
  applianceCopies: (engine: string, applianceId: string): string => `appliance.${engine}.${applianceId}`,
  applianceQuick: (engine: string, applianceId: string): string => `appliance.${engine}.${applianceId}.quick`,
} as const;

/** Description of a snapshot that Holdfast made: prefix for humans, backup id for us. Ownership is this mark AND a holding. */
export function snapshotMark(prefix: string, backupId: string): string {
  return `${prefix} backup ${backupId}`;
}

/** Of a snapshot, or of a VM backup, which has the same one. */
export function backupIdInMark(mark: string): string | undefined {
  const backupId = mark.split(' ').at(-1);
  return uuidSchema.safeParse(backupId).data;
}

/**
 * An image transfer has no field for a mark, and its event comes only when its request is over. What the engine repeats of the request is how long it
 * may lie idle: what is configured, and by the key up to half as much again, which hardly anybody else's has.
 */
export function transferIdleSeconds(transferKey: string, configuredSeconds: number): number {
  return configuredSeconds + (Number.parseInt(transferKey.replaceAll('-', '').slice(0, 8), 16) % (Math.floor(configuredSeconds / 2) + 1));
}

/** Its holding says of which disk it is, and under which key it was asked for. */
export function transferMark(diskId: string, transferKey: string): string {
  return `transfer of disk ${diskId} ${transferKey}`;
}

export function readTransferMark(mark: string): { readonly diskId: string; readonly transferKey: string } | undefined {
  const [, diskId, transferKey] = /^transfer of disk (\S+) (\S+)$/.exec(mark) ?? [];
  return diskId !== undefined && transferKey !== undefined ? { diskId, transferKey } : undefined;
}

/** A freeze has no mark in the engine: whoever finds its holding thaws the VM. */
export function freezeMark(vmId: string): string {
  return `freeze of the guest of VM ${vmId}`;
}

/** Where the configuration of a VM lies that a run replaces, in words: file and repository. */
export function replacedMark(repository: string, runId: string): string {
  return `${repository}: replaced/${runId}.json`;
}

/** Comment of a VM that Holdfast made. */
export function vmMark(runId: string): string {
  return `Holdfast restore ${runId}`;
}
