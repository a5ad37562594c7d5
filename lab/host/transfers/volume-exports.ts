// What an image transfer reads or writes when it is no live backup's disk: one volume with its chain, by a qemu-nbd of its own, or the
// image file itself. One directory per export under `<state>/exports`; a lab that comes back finds those that still serve.
import fs from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { BackupHost, DataExport } from '../backup-port';
import { dirtyExtents, makeBitmapFile, withoutFirst, type Lies } from '../backups/bitmap-lies';
import { addFileBitmap, fileBitmapsSince, mergeFileBitmap } from '../bitmaps/file-bitmaps';
import { imageUse } from '../image-locks';
import { KeyedMutex } from '../mutex';
import { HostError, type VolumeRef } from '../port';
import type { RunDirectory } from '../run-directory';
import { readJsonFile, writeJsonFile } from '../state-file';
import { checkedId, describeVolume, driverOf, type Layer, type Storage } from '../storage';
import { runTool, toHostError } from '../tools';
import { endNbdServer, findNbdServer, startNbdServer, type NbdServer } from './nbd-server';

const exportSchema = z.object({ url: z.string(), sizeBytes: z.number(), dirty: z.boolean() });
const changedBitmap = 'changed';

export type ExportRequest = Parameters<BackupHost['exportVolume']>[0];

export class VolumeExports {
  private readonly turns = new KeyedMutex();

  constructor(
    private readonly root: string,
    private readonly storage: Storage,
    private readonly run: RunDirectory,
    private readonly lies: Lies,
  ) {}

  /** At start: what a killed lab left of exports that serve nobody. */
  async sweep(): Promise<void> {
    for (const transferId of await this.known()) if (!(await this.findServed(transferId))) await this.end(transferId);
  }

  serve(request: ExportRequest): Promise<DataExport> {
    return this.turns.run(request.transferId, async () => {
      await this.refuseConflict(request);
      if (request.asFile) return this.file(request);
      return (await this.findServed(request.transferId)) ?? (await this.start(request));
    });
  }

  end(transferId: string): Promise<void> {
    return this.turns.run(transferId, async () => {
      const server = this.serverOf(transferId);
      await endNbdServer(server);
      await fs.rm(server.directory, { recursive: true, force: true });
    });
  }

  async endAll(): Promise<void> {
    await Promise.all((await this.known()).map((transferId) => this.end(transferId)));
  }

  private async known(): Promise<readonly string[]> {
    return fs.readdir(this.root).catch(() => []);
  }

  private serverOf(transferId: string): NbdServer {
    return { socket: this.run.transferSocket(transferId), exportName: 'image', directory: path.join(this.root, checkedId(transferId, 'image transfer')) };
  }

  private async findServed(transferId: string): Promise<DataExport | undefined> {
    const server = this.serverOf(transferId);
    return (await findNbdServer(server)) ? readJsonFile(path.join(server.directory, 'export.json'), exportSchema) : undefined;
  }

  /** The image file's bytes are read without QEMU's locks, and a disk that is written to by its export as well shares its lock: so it is asked here. */
  private async refuseConflict({ transferId, volume, writable }: ExportRequest): Promise<void> {
    if (await this.findServed(transferId)) return;
    const use = await imageUse(this.storage.volumePath(volume));
    if (writable ? use.open : use.writer) throw new HostError('volume-in-use', `${describeVolume(volume)} is open in a QEMU${writable ? '' : ' that writes to it'}; it cannot be transferred meanwhile`);
  }

  private async file({ volume }: ExportRequest): Promise<DataExport> {
    await this.storage.formatOf(volume);
    const file = this.storage.volumePath(volume);
    return { url: `file://${file}`, sizeBytes: (await fs.stat(file)).size, dirty: false };
  }

  private async start(request: ExportRequest): Promise<DataExport> {
    const { transferId, volume, writable, shallow, changedSince } = request;
    const server = this.serverOf(transferId);
    const subject = `image transfer ${transferId} of ${describeVolume(volume)}`;
    const [top] = await this.storage.chain(volume);
    if (!top) throw new HostError('no-such-volume', `${describeVolume(volume)} does not exist`);
    await endNbdServer(server); // of a lab that was killed before it noted what it had started
    await fs.rm(server.directory, { recursive: true, force: true });
    await fs.mkdir(server.directory, { recursive: true, mode: 0o700 });
    try {
      const { virtualBytes } = await this.storage.volumeInfo(volume);
      const image = imageOf(top, shallow);
      if (changedSince === undefined) await startNbdServer(server, image, { writable });
      else await this.startWithChanges(server, { volume, image, changedSince, virtualBytes });
      const served: DataExport = { url: `nbd:unix:${server.socket}:exportname=${server.exportName}`, sizeBytes: virtualBytes, dirty: changedSince !== undefined };
      await writeJsonFile(path.join(server.directory, 'export.json'), served);
      return served;
    } catch (error) {
      await endNbdServer(server);
      await fs.rm(server.directory, { recursive: true, force: true });
      throw toHostError(error, subject);
    }
  }

  /** As vdsm does it: an empty overlay whose one bitmap is what the chain's bitmaps say together. */
  private async startWithChanges(
    server: NbdServer,
    { volume, image, changedSince, virtualBytes }: { readonly volume: VolumeRef; readonly image: object; readonly changedSince: readonly string[]; readonly virtualBytes: number },
  ): Promise<void> {
    const sources = await fileBitmapsSince(this.storage, volume, changedSince);
    const overlay = path.join(server.directory, 'overlay.qcow2');
    await runTool('qemu-img', ['create', '-q', '-f', 'qcow2', overlay, String(virtualBytes)]);
    await addFileBitmap(overlay, changedBitmap);
    for (const { at, name } of sources) await mergeFileBitmap({ file: at.path, name }, { file: overlay, name: changedBitmap });
    const served = { driver: 'qcow2', file: { driver: 'file', filename: overlay }, backing: image };
    await startNbdServer(server, served, { writable: false, bitmap: changedBitmap });
    const omittedBytes = this.lies.take(volume.diskId);
    if (omittedBytes === undefined) return;
    const rest = withoutFirst(await dirtyExtents(server.socket, server.exportName, changedBitmap), omittedBytes);
    await endNbdServer(server);
    const [lie, told] = [path.join(server.directory, 'lie.qcow2'), 'changed-as-told'];
    await makeBitmapFile(lie, told, virtualBytes, rest);
    await addFileBitmap(overlay, told);
    await mergeFileBitmap({ file: lie, name: told }, { file: overlay, name: told });
    await startNbdServer(server, served, { writable: false, bitmap: told });
  }
}

/** `shallow`: as if nothing were below. */
function imageOf({ path: filename, format }: Layer, shallow: boolean): object {
  return { driver: driverOf(format), file: { driver: 'file', filename, discard: 'unmap' }, discard: 'unmap', ...(shallow && format === 'cow' ? { backing: null } : {}) };
}
