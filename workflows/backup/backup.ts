// What the steps of a backup share, whichever way its data goes. No step is in here.
import type { SealInput } from '../../activities/repository';
import type { Consistency } from '../../domain/consistency';
import type { BackupVmInput } from '../../domain/flows/backup-vm';
import type { RunSettings } from '../../domain/flows/settings';
import type { Note } from '../../domain/manifest';
import type { BackupPlan } from '../../activities/plan';
import type { FlowRun } from '../flow-run';
import type { Proxies } from '../proxies';

export interface Backup {
  readonly input: BackupVmInput;
  readonly run: FlowRun;
  readonly proxies: Proxies;
  readonly settings: RunSettings;
  readonly applianceId: string;
  readonly backupId: string;
}

export type PlannedBackup = BackupPlan & { readonly vm: NonNullable<BackupPlan['vm']> };

export type CopiedDisk = SealInput['disks'][number];

/** Every disk is copied, and nothing is sealed yet. */
export interface CopiedBackup {
  readonly plan: PlannedBackup;
  readonly disks: readonly CopiedDisk[];
  readonly seconds: number;
  readonly consistency: Consistency;
  /** How it was made, for its manifest. */
  readonly made: Pick<SealInput['manifest'], 'method' | 'kind' | 'base' | 'reason' | 'checkpoint' | 'snapshot' | 'vmBackup'> & { readonly notes: readonly Note[] };
  /** It is sealed: what only a partial backup has to lose is kept from now on. */
  keep(): void;
  /** What is left to do when the engine holds nothing of it any more; what fails is a warning. */
  afterCleanUp?(): Promise<void>;
}
