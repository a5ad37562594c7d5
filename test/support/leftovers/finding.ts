// What the outside look is told and what it tells. Local to the look: nothing of the product, so that both cannot share a mistake.

export interface FoundLeftover {
  /** Where one would go to see it. */
  readonly where: 'engine' | 'daemon' | 'qmp' | 'process' | 'mount' | 'directory' | 'socket' | 'repository';
  /** Kind of finding, a fixed word. */
  readonly what: string;
  /** Id, pid or path. */
  readonly object: string;
  /** A sentence for people. */
  readonly detail: string;
}

export interface LookOptions {
  /** The lab: its state directory (with `connection.json`, `vms/`, `sd/`). Without it only the repositories are looked at. */
  readonly labState?: string;
  /** Default: `<labState>/connection.json`. */
  readonly connectionFile?: string;
  readonly repositories: readonly string[];
  /** VM ids of the appliances: nothing may be attached to them except `keptDiskIds`. */
  readonly applianceIds: readonly string[];
  /** Products that may carry a mark of Holdfast: restored VMs. */
  readonly keptVmIds?: readonly string[];
  /** Products: disks that may float, and an appliance's own disks. */
  readonly keptDiskIds?: readonly string[];
  /** Directories for sockets of the workers and their image servers; everything in them must have an owner. */
  readonly runDirectories?: readonly string[];
  /** Of other VMs nothing is asked, and what is theirs may be told as nobody's: for lookers who know what they look for. */
  readonly onlyVmIds?: readonly string[];
  /** Begins the descriptions of our snapshots and the comments of our VMs. */
  readonly markPrefix?: string;
}
