// Every flow as a client sees it: registered name, id, schemas, messages. The published JSON Schemas (client/schema.ts) and the typed
// client are both made from this one table; the compiler proves that it names exactly the registered workflow types.
import type { z } from 'zod';
import { backupVmInputSchema, backupVmOutputSchema } from '../domain/flows/backup-vm';
import {
  findVmsInputSchema,
  findVmsOutputSchema,
  listBackupsInputSchema,
  listBackupsOutputSchema,
  listRunsInputSchema,
  listRunsOutputSchema,
  rebuildCatalogInputSchema,
  rebuildCatalogOutputSchema,
} from '../domain/flows/queries';
import { runDoctorInputSchema, runDoctorOutputSchema } from '../domain/flows/doctor';
import { acknowledgeAlertsInputSchema, acknowledgeAlertsOutputSchema, forwardEventsInputSchema, forwardEventsOutputSchema, listAlertsInputSchema, listAlertsOutputSchema } from '../domain/flows/alerts';
import {
  checkBackupAwarenessInputSchema,
  checkBackupAwarenessOutputSchema,
  launchScheduledInputSchema,
  launchScheduledOutputSchema,
  setBackupAwarenessInputSchema,
  setBackupAwarenessOutputSchema,
  showBackupAwarenessInputSchema,
  showBackupAwarenessOutputSchema,
} from '../domain/flows/awareness';
import { listHoldingsInputSchema, listHoldingsOutputSchema } from '../domain/flows/holdings';
import { restoreVmInputSchema, restoreVmOutputSchema } from '../domain/flows/restore-vm';
import { verifyBackupInputSchema, verifyBackupOutputSchema } from '../domain/flows/verify-backup';
import { listVmAwarenessInputSchema, listVmAwarenessOutputSchema } from '../domain/flows/vm-awareness';
import { workflowIds } from '../domain/ids';
import type * as registered from '../workflows';

export type FlowName = keyof typeof registered;

export interface Flow {
  readonly summary: string;
  readonly input: z.ZodObject;
  readonly output: z.ZodObject;
  /** As documentation: `<name>` stands for a field of the input or a fresh UUID (`requestId` of the short flows). */
  readonly workflowId: string;
  /** What Temporal does with the id of a closed run. The conflict policy with an open run is always FAIL: the id is the lock. */
  readonly idReusePolicy: 'ALLOW_DUPLICATE' | 'REJECT_DUPLICATE';
  /** Where one flow has two kinds of ids: the other one, and when. */
  readonly workflowIdElse?: { readonly workflowId: string; readonly when: string; readonly idReusePolicy: Flow['idReusePolicy'] };
  readonly messages: readonly ('progress' | 'pause' | 'resume' | 'setBandwidth')[];
}

const runMessages = ['progress', 'pause', 'resume', 'setBandwidth'] as const;

export const flows = {
  backupVm: {
    summary: 'Back up one VM into a repository',
    input: backupVmInputSchema,
    output: backupVmOutputSchema,
    workflowId: workflowIds.vm('<engine>', '<vmId>'),
    idReusePolicy: 'ALLOW_DUPLICATE',
    messages: runMessages,
  },
  restoreVm: {
    summary: 'Restore a backup as a new VM, as the original that is gone, or in the place of the original',
    input: restoreVmInputSchema,
    output: restoreVmOutputSchema,
    workflowId: workflowIds.restore('<requestId>'),
    workflowIdElse: { workflowId: workflowIds.vm('<engine>', '<vmId>'), when: 'as: original or replace', idReusePolicy: 'ALLOW_DUPLICATE' },
    idReusePolicy: 'REJECT_DUPLICATE',
    messages: runMessages,
  },
  verifyBackup: {
    summary: 'Read a sealed backup again and compare every block with its digest',
    input: verifyBackupInputSchema,
    output: verifyBackupOutputSchema,
    workflowId: workflowIds.verify('<backupId>'),
    idReusePolicy: 'ALLOW_DUPLICATE',
    messages: runMessages,
  },
  findVms: {
    summary: 'Find VMs of an engine by name, id or oVirt search',
    input: findVmsInputSchema,
    output: findVmsOutputSchema,
    workflowId: workflowIds.find('<engine>', '<requestId>'),
    idReusePolicy: 'REJECT_DUPLICATE',
    messages: [],
  },
  listBackups: {
    summary: 'List sealed backups from the catalog, a page at a time',
    input: listBackupsInputSchema,
    output: listBackupsOutputSchema,
    workflowId: workflowIds.catalog('listBackups', '<requestId>'),
    idReusePolicy: 'REJECT_DUPLICATE',
    messages: [],
  },
  listRuns: {
    summary: 'List runs from the catalog, a page at a time',
    input: listRunsInputSchema,
    output: listRunsOutputSchema,
    workflowId: workflowIds.catalog('listRuns', '<requestId>'),
    idReusePolicy: 'REJECT_DUPLICATE',
    messages: [],
  },
  rebuildCatalog: {
    summary: 'Rebuild the catalog\'s index of backups from the manifests in a repository',
    input: rebuildCatalogInputSchema,
    output: rebuildCatalogOutputSchema,
    workflowId: workflowIds.catalog('rebuildCatalog', '<requestId>'),
    idReusePolicy: 'REJECT_DUPLICATE',
    messages: [],
  },
  listHoldings: {
    summary: 'List what runs hold or have left behind, a page at a time',
    input: listHoldingsInputSchema,
    output: listHoldingsOutputSchema,
    workflowId: workflowIds.catalog('listHoldings', '<requestId>'),
    idReusePolicy: 'REJECT_DUPLICATE',
    messages: [],
  },
  listAlerts: {
    summary: 'List open alerts, a page at a time',
    input: listAlertsInputSchema,
    output: listAlertsOutputSchema,
    workflowId: workflowIds.catalog('listAlerts', '<requestId>'),
    idReusePolicy: 'REJECT_DUPLICATE',
    messages: [],
  },
  acknowledgeAlerts: {
    summary: 'Acknowledge open alerts: no reminders any more, and they stay open',
    input: acknowledgeAlertsInputSchema,
    output: acknowledgeAlertsOutputSchema,
    workflowId: workflowIds.catalog('acknowledgeAlerts', '<requestId>'),
    idReusePolicy: 'REJECT_DUPLICATE',
    messages: [],
  },
  checkBackupAwareness: {
    summary: 'Judge whether the engine has a fresh full backup of itself, and raise or clear the alert about it',
    input: checkBackupAwarenessInputSchema,
    output: checkBackupAwarenessOutputSchema,
    workflowId: workflowIds.awareness('<engine>'),
    idReusePolicy: 'ALLOW_DUPLICATE',
    messages: [],
  },
  showBackupAwareness: {
    summary: 'Show the settings, the schedule, the open alerts and the log of backup awareness',
    input: showBackupAwarenessInputSchema,
    output: showBackupAwarenessOutputSchema,
    workflowId: workflowIds.awarenessSettings('show', '<engine>', '<requestId>'),
    idReusePolicy: 'REJECT_DUPLICATE',
    messages: [],
  },
  listVmAwareness: {
    summary: 'List VMs without a backup as fresh as their objective asks, a page at a time',
    input: listVmAwarenessInputSchema,
    output: listVmAwarenessOutputSchema,
    workflowId: workflowIds.catalog('listVmAwareness', '<requestId>'),
    idReusePolicy: 'REJECT_DUPLICATE',
    messages: [],
  },
  setBackupAwareness: {
    summary: 'Set the periods of backup awareness for an engine, over the configuration, and check at once',
    input: setBackupAwarenessInputSchema,
    output: setBackupAwarenessOutputSchema,
    workflowId: workflowIds.awarenessSettings('set', '<engine>', '<requestId>'),
    idReusePolicy: 'REJECT_DUPLICATE',
    messages: [],
  },
  forwardEvents: {
    summary: 'Tell one sink (the engine\'s event log, the webhook, the workers\' log) what it has not been told',
    input: forwardEventsInputSchema,
    output: forwardEventsOutputSchema,
    workflowId: workflowIds.events('<engine>', '<sink>'),
    idReusePolicy: 'ALLOW_DUPLICATE',
    messages: [],
  },
  launchScheduled: {
    summary: 'Started by a Temporal Schedule: starts a flow under the id that is its lock, and waits for it',
    input: launchScheduledInputSchema,
    output: launchScheduledOutputSchema,
    workflowId: workflowIds.launch('<workflowId>'),
    idReusePolicy: 'ALLOW_DUPLICATE',
    messages: [],
  },
  runDoctor: {
    summary: 'Check everything that backups and restores need',
    input: runDoctorInputSchema,
    output: runDoctorOutputSchema,
    workflowId: workflowIds.doctor('<requestId>'),
    idReusePolicy: 'REJECT_DUPLICATE',
    messages: [],
  },
} as const satisfies Record<FlowName, Flow>;

export const flowNames = Object.keys(flows) as FlowName[];
