// Names of everything in a repository (docs/design.md, "Repository format"). Ids are validated here, before they become a path.
import { join } from 'node:path';
import { HoldfastError } from '../../domain/failures';
import { uuidSchema } from '../../domain/ids';
import type { BackupRef } from './port';

export const markerFile = 'holdfast-repository.json';
export const vmsDirectory = 'vms';
export const manifestFile = 'manifest.json';
export const configurationFile = 'vm.ovf';
/** Beside the backups: what a restore took away, until the new VM stands or the old one is back. */
export const replacedDirectory = 'replaced';
/** Only in a partial backup: what the manifest will say about configuration and disks. */
export const partialFile = 'partial.json';

export const directoryMode = 0o700;
export const fileMode = 0o600;

export function isUuid(name: string): boolean {
  return uuidSchema.safeParse(name).success;
}

function checkedId(what: string, id: string): string {
  if (!isUuid(id)) throw new HoldfastError('input.invalid', `"${id}" is not a ${what} id: it must be a UUID in lower case. Nothing was read or written.`);
  return id;
}

export function vmDirectory(root: string, vmId: string): string {
  return join(root, vmsDirectory, checkedId('VM', vmId));
}

export function backupDirectory(root: string, ref: BackupRef): string {
  return join(vmDirectory(root, ref.vmId), checkedId('backup', ref.backupId));
}

export function imageFile(diskId: string): string {
  return `${checkedId('disk', diskId)}.qcow2`;
}

/** How an image names the image below it: relative, so that a repository may be moved, mounted elsewhere or copied. */
export function backingFile(baseBackupId: string, diskId: string): string {
  return `../${checkedId('backup', baseBackupId)}/${imageFile(diskId)}`;
}

export function digestsFile(diskId: string): string {
  return `${checkedId('disk', diskId)}.digests`;
}

/**
 * Lock and progress carry the fencing number in their names, so that taking an image over is the exclusive creation of the next number,
 * and a writer that was thought dead can only ever touch files of its own, lower number.
 */
export function numberedFile(diskId: string, fencing: number, kind: 'lock' | 'progress'): string {
  return `${checkedId('disk', diskId)}.${fencing}.${kind}`;
}

export function fencingOf(fileName: string, diskId: string, kind: 'lock' | 'progress'): number | undefined {
  const match = /^([0-9a-f-]{36})\.(\d{1,15})\.(lock|progress)$/.exec(fileName);
  return match?.[1] === diskId && match[3] === kind ? Number(match[2]) : undefined;
}

/** Disks that left anything in a partial backup. */
export function diskIdsIn(fileNames: readonly string[]): string[] {
  const ids = fileNames.map((name) => /^([0-9a-f-]{36})\.(?:qcow2|digests|\d+\.lock|\d+\.progress)$/.exec(name)?.[1]);
  return [...new Set(ids.filter((id) => id !== undefined && isUuid(id)))] as string[];
}

export function replacedFile(runId: string): string {
  return `${checkedId('run', runId)}.json`;
}

/** Files that a partial backup needs and a sealed one does not. */
export function isScaffold(fileName: string): boolean {
  return fileName === partialFile || /\.(lock|progress|tmp)$/.test(fileName);
}
