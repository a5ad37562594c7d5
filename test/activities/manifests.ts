// Manifests of backups by transfer, for the catalog: nothing of them lies in a repository.
import { randomUUID } from 'node:crypto';
import type { Manifest } from '../../domain/manifest';

export interface ManifestOf {
  readonly backupId: string;
  readonly runId: string;
  readonly vmId: string;
  readonly kind: Manifest['kind'];
  readonly baseBackupId: string | null;
  readonly checkpointId: string | null;
  readonly createdAt: string;
}

export function manifestOf({ backupId, runId, vmId, kind, baseBackupId, checkpointId, createdAt }: ManifestOf): Manifest {
  return {
    format: 'holdfast-backup', version: 1, backupId, runId, kind, method: 'transfer',
    engine: { name: 'lab', product: 'oVirt Engine', version: '4.5.8' },
    vm: { id: vmId, name: 'demo' },
    base: baseBackupId === null ? null : { backupId: baseBackupId, manifestSha256: '0'.repeat(64) },
    reason: { code: 'chain.first', text: '' }, notes: [],
    consistency: { level: 'unknown', evidence: '' },
    checkpoint: checkpointId === null ? null : { id: checkpointId },
    snapshot: null, vmBackup: { id: randomUUID(), style: 'hybrid', createdAt },
    configuration: { file: 'vm.ovf', bytes: 1, sha256: '0'.repeat(64) },
    disks: [], leftOut: [], startedAt: createdAt, sealedAt: createdAt, holdfast: '0.1.0',
  };
}
