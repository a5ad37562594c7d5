// A test host with the real imageio daemon, its official client, and references that are taken past both: by QEMU's own NBD client.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import https from 'node:https';
import path from 'node:path';
import { promisify } from 'node:util';
import { prepareTls } from '../../../lab/engine/http/tls';
import { createImageioDaemon, type BackupDisk, type DataExport, type LocalImageioDaemon, type StartedBackup, type Ticket, type VmDisk, type VolumeRef } from '../../../lab/host';
import { pythonOfSetup, runPython } from '../../support/python';
import { newVolume, openTestHost, ref, type TestHost } from './lab-host';

const run = promisify(execFile);

export interface BackupLab {
  lab: TestHost;
  imageio: LocalImageioDaemon;
  readonly ca: string;
  /** Warnings of the daemon's owner. */
  readonly warnings: string[];
  /** As after a SIGKILL of the lab: everything is let go of and found again. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

export async function openBackupLab(): Promise<BackupLab> {
  const lab = await openTestHost();
  const { caFile } = await prepareTls(lab.stateDir);
  const warnings: string[] = [];
  const daemon = async (): Promise<LocalImageioDaemon> => {
    const at = (name: string): string => path.join(path.dirname(caFile), name);
    const log = { info: () => undefined, warn: (_: object, message: string) => void warnings.push(message) };
    const imageio = createImageioDaemon({ stateDir: lab.stateDir, python: await pythonOfSetup(), certificate: { keyFile: at('server.key'), certFile: at('server.pem'), caFile }, log });
    await imageio.start();
    return imageio;
  };
  const opened: BackupLab = {
    lab,
    imageio: await daemon(),
    ca: caFile,
    warnings,
    reopen: async () => {
      await opened.lab.host.close({ stopVms: false });
      await opened.imageio.release();
      opened.lab = await opened.lab.reopen();
      opened.imageio = await daemon();
    },
    close: async () => {
      await opened.imageio.stop();
      await opened.lab.close();
    },
  };
  return opened;
}

export async function scratchFor({ lab }: BackupLab, disk: VmDisk): Promise<VolumeRef> {
  const { virtualBytes } = await lab.host.volumeInfo(disk.top);
  const volume = newVolume(lab, { virtualBytes });
  await lab.host.createVolume(volume);
  return ref(volume);
}

/** A live backup of these disks; `since`: checkpoints. */
export async function begin(lab: BackupLab, vmId: string, disks: readonly VmDisk[], checkpointId: string, since?: readonly string[]): Promise<{ readonly backupId: string; readonly started: StartedBackup; readonly scratch: readonly VolumeRef[] }> {
  const backupId = randomUUID();
  const parts: BackupDisk[] = [];
  for (const disk of disks) {
    const cow = disk.format === 'cow' ? { toCheckpointId: checkpointId, ...(since && { changedSince: since }) } : {};
    parts.push({ disk, scratch: await scratchFor(lab, disk), ...cow });
  }
  const started = await lab.lab.host.backups.startLiveBackup(vmId, backupId, parts, { freeze: true, requireConsistency: false });
  return { backupId, started, scratch: parts.flatMap(({ scratch }) => scratch ?? []) };
}

export async function end({ lab }: BackupLab, vmId: string, { backupId, scratch }: { readonly backupId: string; readonly scratch: readonly VolumeRef[] }): Promise<void> {
  await lab.host.backups.stopLiveBackup(vmId, backupId, { dropCheckpoint: false });
  for (const volume of scratch) await lab.host.removeVolume(volume);
}

export function exportOf(started: StartedBackup, disk: VmDisk): DataExport {
  const found = started.exports.find(({ diskId }) => diskId === disk.diskId);
  if (!found) throw new Error(`no export of disk ${disk.diskId}`);
  return found;
}

export function ticketFor(served: DataExport, overrides: Partial<Ticket> = {}): Ticket {
  const { url, sizeBytes, dirty } = served;
  return { uuid: randomUUID(), transferId: randomUUID(), url, sizeBytes, dirty, ops: ['read'], sparse: true, timeoutSeconds: 300, inactivityTimeoutSeconds: 60, ...overrides };
}

export async function client({ imageio, ca }: BackupLab, what: 'download' | 'incremental' | 'upload', ticket: Ticket, file: string, backing?: string): Promise<void> {
  const args = [what, `${imageio.address().url}/images/${ticket.uuid}`, ca, file, ...(backing === undefined ? [] : [backing])];
  const { code, err } = await runPython(path.join(__dirname, 'imageio-client.py'), args);
  if (code !== 0) throw new Error(err);
}

/** Downloads through daemon and client; incremental when there is a file below. Returns the new file. */
export async function download(lab: BackupLab, served: DataExport, below?: string): Promise<string> {
  const file = path.join(lab.lab.stateDir, `${randomUUID()}.qcow2`);
  const ticket = ticketFor(served);
  await lab.imageio.addTicket(ticket);
  await client(lab, below === undefined ? 'download' : 'incremental', ticket, file, below);
  await lab.imageio.removeTicket(ticket.uuid);
  return file;
}

/** The whole moment that an export shows, by QEMU's own client. */
export async function reference({ lab }: BackupLab, served: DataExport): Promise<string> {
  const file = path.join(lab.stateDir, `${randomUUID()}.raw`);
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', served.url, file]);
  return file;
}

/** Throws with qemu-img's words when they differ. */
export async function expectEqual(image: string, raw: string): Promise<void> {
  const { stdout } = await run('qemu-img', ['compare', '-f', 'qcow2', '-F', 'raw', image, raw]).catch((error: unknown) => {
    throw new Error(`${image} is not ${raw}: ${(error as { stdout?: string }).stdout ?? String(error)}`);
  });
  expect(stdout).toContain('Images are identical');
}

/** Bytes that a download brought, the files below it not counted. */
export async function ownBytes(file: string): Promise<number> {
  return (await fs.stat(file)).blocks * 512;
}

export interface Extent {
  readonly start: number;
  readonly length: number;
  readonly zero: boolean;
  readonly hole?: boolean;
  readonly dirty?: boolean;
}

/** One request over TLS, past the client, which prefers the unix socket. */
export async function get(lab: BackupLab, pathname: string): Promise<{ readonly status: number; readonly body: Buffer }> {
  const ca = await fs.readFile(lab.ca);
  return new Promise((resolve, reject) => {
    https
      .get(`${lab.imageio.address().url}${pathname}`, { ca, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      })
      .on('error', reject);
  });
}
