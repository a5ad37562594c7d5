// What the tests of the repository share: ids, settings, a manifest to seal with, and one whole backup from a raw disk.
import { randomUUID } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { copyBlocks } from '../../../adapters/blocks';
import type { BackupRef, PartialImage, Repository, SealedDiskFacts } from '../../../adapters/repository/port';
import { createRepository } from '../../../adapters/repository/repository';
import type { DiskSettings } from '../../../domain/disks';
import type { Manifest } from '../../../domain/manifest';
import { never, readImage } from '../blocks/support';

export const ovf = '<?xml version="1.0"?><ovf:Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1/"/>';

export interface Case {
  readonly ref: BackupRef;
  readonly diskId: string;
  readonly runId: string;
}

export const newCase = (): Case => ({ ref: { vmId: randomUUID(), backupId: randomUUID() }, diskId: randomUUID(), runId: randomUUID() });

export async function newRepository(parent: string, options: { leaseMs?: number } = {}): Promise<{ repository: Repository; path: string }> {
  const path = mkdtempSync(join(parent, 'repo-'));
  const repository = createRepository({ name: 'primary', path, ...options });
  await repository.open();
  return { repository, path };
}

export function settingsOf(diskId: string, virtualBytes: number): DiskSettings {
  return {
    diskId,
    alias: 'demo_Disk1',
    description: '',
    virtualBytes,
    format: 'cow',
    sparse: true,
    backup: 'none',
    wipeAfterDelete: false,
    interface: 'virtio_scsi',
    bootable: true,
    active: true,
    readOnly: false,
    passDiscard: false,
  };
}

export function unsealed({ ref, runId }: Case): Omit<Manifest, 'disks' | 'configuration' | 'sealedAt'> {
  return {
    format: 'holdfast-backup',
    version: 1,
    backupId: ref.backupId,
    runId,
    engine: { name: 'lab', product: 'oVirt Engine', version: '4.5.6' },
    vm: { id: ref.vmId, name: 'demo' },
    method: 'appliance',
    kind: 'full',
    base: null,
    reason: { code: 'first', text: 'There is no backup of this VM yet.' },
    consistency: { level: 'crash', evidence: 'nobody was asked' },
    checkpoint: null,
    snapshot: { id: randomUUID(), description: 'Holdfast backup', createdAt: '2026-11-21T05:00:00Z' },
    vmBackup: null,
    notes: [],
    leftOut: [],
    startedAt: '2026-11-21T05:00:00Z',
    holdfast: '0.1.0',
  };
}

export const factsOf = (diskId: string, virtualBytes: number): SealedDiskFacts => ({ settings: settingsOf(diskId, virtualBytes), dataBytes: 1, transport: 'san', seconds: 1 });

export async function copyInto(image: PartialImage, raw: string, signal: AbortSignal = never, bytesPerSecond?: number): Promise<string> {
  const reader = await readImage(raw, 'raw');
  try {
    const result = await copyBlocks({
      reader,
      writer: image.writer,
      sink: image.sink,
      fromBytes: image.positionBytes,
      dataBytesBefore: image.dataBytes,
      onDurable: ({ positionBytes, dataBytes }) => image.recordDurable(positionBytes, dataBytes),
      signal,
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    });
    return result.root;
  } finally {
    await reader.close();
  }
}

/** Configuration, one disk, seal. */
export async function backUp(repository: Repository, what: Case, raw: string, virtualBytes: number): Promise<{ manifest: Manifest; manifestSha256: string }> {
  await repository.saveConfiguration(what.ref, ovf, [settingsOf(what.diskId, virtualBytes)]);
  const image = await repository.openPartialImage(what.ref, what.diskId, virtualBytes, { owner: 'test' });
  try {
    await copyInto(image, raw);
  } finally {
    await image.close();
  }
  return repository.seal(what.ref, unsealed(what), [factsOf(what.diskId, virtualBytes)], '2026-11-21T06:00:00Z');
}
