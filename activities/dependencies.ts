// What the composition root (worker/) hands to the activities.
import type { LoggedEngineBackups } from '../adapters/catalog/port-alerts';
import type { Catalog, Notice } from '../adapters/catalog/port';
import type { Engine, EngineExamination } from '../adapters/ovirt/port';
import type { Repository } from '../adapters/repository/port';
import type { AwarenessPolicy } from '../domain/awareness/engine-backup';
import type { VmObjective } from '../domain/awareness/vm-objectives';
import type { CopyLimits } from '../domain/copy-slots';
import type { engineBackupSources, ShowBackupAwarenessOutput } from '../domain/flows/awareness';
import type { RunSettings } from '../domain/flows/settings';
import type { FreezeLimits } from './thaw';

export interface EngineDependencies {
  /** Throws `config.invalid` for a name that is not configured. */
  readonly engineOf: (name: string) => Engine;
}

/** `storageDomains`: by id or name, as the configuration has them. */
export interface ConfiguredCopyLimits extends Omit<CopyLimits, 'ofStorageDomain'> {
  readonly storageDomains: Readonly<Record<string, { readonly copiesAtOnce: number }>>;
}

/** How the data daemons of an engine's hosts are spoken to. The engine's CA signs their certificates too. */
export interface ImageioSettings {
  readonly caFile?: string;
  readonly insecure?: boolean;
  /** `never`: no data through the engine's proxy, even where the host cannot be reached. */
  readonly proxy: 'when-needed' | 'never';
  /** Requests under way at once for one disk. */
  readonly connections: number;
  /** A transfer on which nothing happens for so long is ended by the engine. */
  readonly inactivityTimeoutSeconds: number;
}

export interface ImageioDependencies {
  readonly imageioOf: (engine: string) => ImageioSettings;
}

/** What the configuration says about awareness of one engine. */
export interface ConfiguredAwareness {
  readonly policy: AwarenessPolicy;
  /** As engine-setup was told, and as engine-backup logs it. */
  readonly fqdn: string;
  readonly source: (typeof engineBackupSources)[number];
  /** Whether objectives for VMs are configured. */
  readonly judgesVms: boolean;
}

/** Where an engine's own backups are logged. */
export interface EngineBackupSource {
  read(of: { readonly fqdn: string; readonly nowMs: number }): Promise<LoggedEngineBackups>;
}

/** Temporal's schedules, as far as awareness needs them. */
export interface Schedules {
  /** Idempotent. One that an operator has paused stays paused. */
  ensureAwareness(engine: string, wanted: { readonly checkPeriodHours: number; readonly checkNow: boolean }): Promise<void>;
  describe(scheduleId: string): Promise<ShowBackupAwarenessOutput['schedule']>;
}

export interface ControlDependencies extends EngineDependencies, ImageioDependencies {
  readonly engineOf: (name: string) => Engine & Pick<EngineExamination, 'ownPermissions'>;
  readonly catalog: Catalog;
  readonly settingsOf: (engine: string) => RunSettings;
  readonly copyLimitsOf: (engine: string) => ConfiguredCopyLimits;
  /** How fresh the backups of which VMs must be, and which need none. Without any, no VM is judged. */
  readonly vmObjectivesOf: (engine: string) => readonly VmObjective[];
  /** Of freezing guests; tests are less patient. */
  readonly limits?: FreezeLimits;
  /** For so long a transfer may be `initializing`. */
  readonly stillbornMs?: number;
  /** Asks Temporal, without an execution's id about the latest one. While Temporal does not answer, it counts as running. */
  readonly isExecutionRunning: (execution: { readonly workflowId: string; readonly executionId?: string }) => Promise<boolean>;
}

export interface AwarenessDependencies extends EngineDependencies {
  readonly catalog: Catalog;
  readonly awarenessOf: (engine: string) => ConfiguredAwareness;
  readonly engineBackupsOf: (engine: string) => EngineBackupSource;
  readonly schedules: Schedules;
  readonly tellWebhook: (notice: Notice) => Promise<void>;
  readonly tellLog: (notice: Notice) => void;
}

export interface RepositoryDependencies {
  /** Throws `repository.unknown` for a name that is not configured on this worker. */
  readonly repositoryOf: (name: string) => Repository;
  readonly now: () => Date;
}

export interface MoverDependencies extends RepositoryDependencies, EngineDependencies {
  readonly version: string;
}

/** Copies beside a repository: they speak to the hosts' data daemons. */
export interface MoverCopyDependencies extends RepositoryDependencies, EngineDependencies, ImageioDependencies {
  /** How often a copy heartbeats at least, and so how soon it hears of a cancel. */
  readonly heartbeatMs: number;
}

export interface ApplianceDependencies extends RepositoryDependencies {
  /** Directory with one entry per attached disk, named by serial. */
  readonly devices: string;
  /** How often a copy heartbeats at least, and so how soon it hears of a cancel. */
  readonly heartbeatMs: number;
}
