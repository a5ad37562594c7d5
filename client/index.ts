// The public face of Holdfast for programs (docs/isv.md): the typed client, its errors, the requests' types, the published schemas.
export { HoldfastClient } from './holdfast-client';
export type { HoldfastClientOptions, RestoreRequest, StartOptions } from './holdfast-client';
export type { ConnectOptions } from './connect';
export { RunHandle } from './run-handle';
export type { BackupHandle, RestoreHandle, RunFlow, RunOutput, RunStatus, VerifyHandle, WatchOptions } from './run-handle';
export { HoldfastCancelledError, HoldfastClientError, HoldfastRunError } from './errors';
export type { ClientErrorCode, RunEndCode, RunFailureDetails, RunIdentity } from './errors';
export { publishedFlow, publishedIndex, publishedMessages } from './schema';
export type { BackupVmOutput, BackupVmRequest } from '../domain/flows/backup-vm';
export type { RestoreVmOutput } from '../domain/flows/restore-vm';
export type { VerifiedBackup, VerifyBackupOutput, VerifyBackupRequest } from '../domain/flows/verify-backup';
export type { FindVmsOutput, FindVmsRequest, ListBackupsOutput, ListBackupsRequest, ListRunsOutput, ListRunsRequest, RebuildCatalogOutput, Run } from '../domain/flows/queries';
export type { RunDoctorOutput, RunDoctorRequest } from '../domain/flows/doctor';
export type { Check, Verdict } from '../domain/doctor/checks';
export type { AcknowledgeAlertsInput, AcknowledgeAlertsOutput, Alert, ListAlertsOutput, ListAlertsRequest } from '../domain/flows/alerts';
export type {
  CheckBackupAwarenessInput,
  CheckBackupAwarenessOutput,
  SetBackupAwarenessInput,
  SetBackupAwarenessOutput,
  ShowBackupAwarenessOutput,
  ShowBackupAwarenessRequest,
} from '../domain/flows/awareness';
export type { ListVmAwarenessOutput, ListVmAwarenessRequest, VmWithoutFreshBackup } from '../domain/flows/vm-awareness';
export type { ListHoldingsOutput, ListHoldingsRequest, OpenHolding } from '../domain/flows/holdings';
export type { DiskProgress, Phase, Progress } from '../domain/flows/progress';
export type { BackupSummary, ListedBackup, Note, Verification } from '../domain/manifest';
export type { Leftover } from '../domain/holdings';
