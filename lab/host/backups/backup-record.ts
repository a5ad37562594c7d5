// What the host notes about a live backup, so that a lab which was killed finds it again: written before QEMU is told anything, and once more
// when everything is served. Names in QEMU are made from ids, so they need no noting.
import fs from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { readJsonFile, removeFile, writeJsonFile } from '../state-file';

const volumeSchema = z.object({ domainId: z.string(), diskId: z.string(), volumeId: z.string() });
const recordSchema = z.object({
  disks: z.array(z.object({ diskId: z.string(), volume: volumeSchema, scratch: volumeSchema, toCheckpointId: z.string().optional() })),
  started: z.object({ frozen: z.boolean(), exports: z.array(z.object({ diskId: z.string(), url: z.string(), sizeBytes: z.number(), dirty: z.boolean() })) }).optional(),
});
export type BackupRecord = z.infer<typeof recordSchema>;
export type RecordedDisk = BackupRecord['disks'][number];

const recordFile = (directory: string, backupId: string): string => path.join(directory, `${backupId}.json`);

export async function writeRecord(directory: string, backupId: string, record: BackupRecord): Promise<void> {
  await fs.mkdir(directory, { recursive: true, mode: 0o700 });
  await writeJsonFile(recordFile(directory, backupId), record);
}

export function readRecord(directory: string, backupId: string): Promise<BackupRecord | undefined> {
  return readJsonFile(recordFile(directory, backupId), recordSchema);
}

export function removeRecord(directory: string, backupId: string): Promise<void> {
  return removeFile(recordFile(directory, backupId));
}
