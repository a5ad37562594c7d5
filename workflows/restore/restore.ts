// What the steps of a restore share. No step is in here.
import type { BackupContents } from '../../activities/repository';
import type { NamedDisk, RestoreVmInput } from '../../domain/flows/restore-vm';
import type { RunSettings } from '../../domain/flows/settings';
import type { Manifest } from '../../domain/manifest';
import type { NicChoice } from '../../domain/plan/restore-nics';
import type { OldVm } from '../../domain/plan/restore-target';
import type { FlowRun } from '../flow-run';
import type { Proxies } from '../proxies';

export interface Restore {
  readonly input: RestoreVmInput;
  readonly run: FlowRun;
  readonly proxies: Proxies;
  readonly settings: RunSettings;
  /** Decided before anything is acquired. */
  readonly method: Manifest['method'];
  /** Empty with the method `transfer`. */
  readonly applianceId: string;
  /** The VM whose lock the run has: as the original, or to replace it. */
  readonly lockedVmId: string | undefined;
  /** Of the restored VM. */
  readonly vmId: string;
  /** Its comment until it stands. */
  readonly mark: string;
}

/** A disk of the backup and the one that is made from it. */
export interface RestoredDisk {
  readonly source: BackupContents['disks'][number];
  readonly diskId: string;
  readonly storageDomainId: string;
}

/** Every new disk holds what the backup has of it, by a proof, and nothing holds on to it any more. */
export interface Filled {
  readonly disks: readonly { readonly dataBytes: number; readonly root: string }[];
  readonly seconds: number;
}

export interface RestorePlan {
  readonly name: string;
  /** The VM in the backup: where its files lie in the repository. */
  readonly savedVmId: string;
  readonly clusterId: string;
  readonly disks: readonly RestoredDisk[];
  readonly nics: readonly NicChoice[];
  readonly leftOut: readonly NamedDisk[];
  readonly old: OldVm | undefined;
}
