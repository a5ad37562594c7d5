// What the composition root hands to the doctor's activities.
import type { Catalog } from '../../adapters/catalog/port';
import type { Engine, EngineExamination } from '../../adapters/ovirt/port';
import type { Repository } from '../../adapters/repository/port';
import type { NamespaceFacts } from '../../domain/doctor/judge-workers';
import type { Installation } from '../../domain/flows/doctor';
import type { ImageioSettings } from '../dependencies';

/** Asked over the worker's own connection to Temporal. */
export interface TemporalExamination {
  namespace(): Promise<NamespaceFacts>;
  /** Registered name → type (`Keyword`). */
  searchAttributes(): Promise<Readonly<Record<string, string>>>;
  /** What Holdfast's workflows set. */
  readonly expectedSearchAttributes: Readonly<Record<string, string>>;
}

export interface WorkerExamination {
  readonly version: string;
  readonly now: () => Date;
}

export interface ControlExamination extends WorkerExamination {
  readonly catalog: Catalog;
  readonly temporal: TemporalExamination;
  readonly installation: Installation;
  /** Throws `config.invalid` for a name that is not configured. */
  readonly engineOf: (name: string) => Engine & EngineExamination;
  readonly usernameOf: (engine: string) => string;
}

export interface PlacedRepository extends Pick<Repository, 'name' | 'check'> {
  readonly path: string;
}

/** How the data daemons of an engine's hosts are reached. A transfer takes its port from the URL that the engine gives it; before there is one, the configuration tells. */
export interface DaemonSettings extends Pick<ImageioSettings, 'caFile' | 'insecure' | 'proxy'> {
  readonly port: number;
}

export interface HostExamination extends WorkerExamination {
  /** Both throw `config.invalid` for a name that this worker's configuration does not have. */
  readonly engineOf: (name: string) => Pick<Engine & EngineExamination, 'listHosts' | 'listClusters'>;
  readonly daemonsOf: (engine: string) => DaemonSettings;
}

export interface MoverExamination extends HostExamination {
  /** Throws `repository.unknown`. */
  readonly placeOf: (name: string) => PlacedRepository;
}

export interface ApplianceExamination extends WorkerExamination {
  readonly devices: string;
  readonly repositories: readonly PlacedRepository[];
}
