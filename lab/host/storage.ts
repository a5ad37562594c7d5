// The storage domains: volumes as files under `sd/<domain>/images/<disk>/<volume>`, qcow2 chains with relative backing
// names, and a small `.meta` file per volume (its format, as vdsm keeps it). Knows no VM; merges are elsewhere.
import fs from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { ImageInfos, type ImageInfo } from './image-info';
import { imageUse } from './image-locks';
import { HostError, type NewVolume, type VolumeFormat, type VolumeInfo, type VolumeRef } from './port';
import { isErrno, readJsonFile, removeFile, sweepUnfinished, writeJsonFile } from './state-file';
import { runTool, toHostError } from './tools';

const metaSchema = z.object({ format: z.enum(['cow', 'raw']) });
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export const driverOf = (format: VolumeFormat): 'qcow2' | 'raw' => (format === 'cow' ? 'qcow2' : 'raw');
export const describeVolume = (volume: VolumeRef): string => `volume ${volume.volumeId} of disk ${volume.diskId} (domain ${volume.domainId})`;

/** One layer of a disk's chain, as it is on the file system. */
export interface Layer {
  readonly volume: VolumeRef;
  readonly path: string;
  readonly format: VolumeFormat;
}

export class Storage {
  private readonly infos = new ImageInfos();

  constructor(private readonly root: string) {}

  domainDirectory(domainId: string): string {
    return path.join(this.root, checkedId(domainId, 'storage domain'), 'images');
  }

  diskDirectory(domainId: string, diskId: string): string {
    return path.join(this.domainDirectory(domainId), checkedId(diskId, 'disk'));
  }

  volumePath({ domainId, diskId, volumeId }: VolumeRef): string {
    return path.join(this.diskDirectory(domainId, diskId), checkedId(volumeId, 'volume'));
  }

  /** The reverse of `volumePath`; undefined for any other file. */
  volumeAt(file: string): VolumeRef | undefined {
    const [domainId, images, diskId, volumeId, ...rest] = path.relative(this.root, file).split(path.sep);
    if (domainId === undefined || images !== 'images' || diskId === undefined || volumeId === undefined || rest.length > 0) return undefined;
    return [domainId, diskId, volumeId].every((id) => uuid.test(id)) ? { domainId, diskId, volumeId } : undefined;
  }

  async createDomain(domainId: string): Promise<void> {
    await fs.mkdir(this.domainDirectory(domainId), { recursive: true, mode: 0o700 });
  }

  /** At start, when nobody else works here: what a killed lab left half done. */
  async sweepUnfinished(): Promise<void> {
    for (const domainId of await fs.readdir(this.root).catch(() => [])) {
      const images = path.join(this.root, domainId, 'images');
      for (const diskId of await fs.readdir(images).catch(() => [])) await sweepUnfinished(path.join(images, diskId));
    }
  }

  async domainSpace(domainId: string): Promise<{ readonly availableBytes: number; readonly usedBytes: number }> {
    try {
      const space = await fs.statfs(this.domainDirectory(domainId));
      return { availableBytes: space.bavail * space.bsize, usedBytes: (space.blocks - space.bfree) * space.bsize };
    } catch (error) {
      if (isErrno(error, 'ENOENT')) throw new HostError('no-such-volume', `storage domain ${domainId} has no directory on this host; create it first`);
      throw error;
    }
  }

  async createVolume(volume: NewVolume): Promise<void> {
    const file = this.volumePath(volume);
    if (volume.backing && volume.format === 'raw') throw new HostError('qemu-failed', `${describeVolume(volume)}: a raw volume cannot have one below it; ask for cow`);
    const { availableBytes } = await this.domainSpace(volume.domainId);
    if (volume.format === 'raw' && !volume.sparse && volume.virtualBytes > availableBytes) {
      // Not left to fallocate: it would take every free block before it gave up, from everybody else on the file system.
      throw new HostError('no-space', `${describeVolume(volume)} needs ${volume.virtualBytes} bytes, the domain has ${availableBytes}`);
    }
    await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    if (await exists(file)) throw new HostError('volume-in-use', `${describeVolume(volume)} exists already; choose another id or remove it`);
    const backing = volume.backing;
    if (backing && !(await exists(this.volumePath({ ...volume, volumeId: backing.volumeId })))) {
      throw new HostError('no-such-volume', `${describeVolume(volume)}: volume ${backing.volumeId} below it does not exist`);
    }
    await writeJsonFile(`${file}.meta`, { format: volume.format });
    // -u: the size is known, so the volume below need not be opened, which its running VM would not allow.
    const below = backing ? ['-u', '-b', backing.volumeId, '-F', driverOf(backing.format)] : [];
    const allocation = volume.format === 'raw' && !volume.sparse ? ['-o', 'preallocation=falloc'] : [];
    try {
      await runTool('qemu-img', ['create', '-q', '-f', driverOf(volume.format), ...below, ...allocation, file, String(volume.virtualBytes)]);
    } catch (error) {
      await this.unlinkVolume(volume);
      throw toHostError(error, describeVolume(volume));
    }
  }

  async shareVolume(volume: VolumeRef, diskId: string): Promise<void> {
    const target = this.volumePath({ ...volume, diskId });
    await this.formatOf(volume);
    await fs.mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
    for (const suffix of ['.meta', '']) {
      await fs.link(`${this.volumePath(volume)}${suffix}`, `${target}${suffix}`).catch((error: unknown) => {
        if (!isErrno(error, 'EEXIST')) throw error;
      });
    }
  }

  async formatOf(volume: VolumeRef): Promise<VolumeFormat> {
    const file = this.volumePath(volume);
    const meta = await readJsonFile(`${file}.meta`, metaSchema);
    if (!meta || !(await exists(file))) throw new HostError('no-such-volume', `${describeVolume(volume)} does not exist`);
    return meta.format;
  }

  async volumeInfo(volume: VolumeRef): Promise<VolumeInfo> {
    const [image] = await this.imageInfo(volume, false);
    if (!image) throw new HostError('no-such-volume', `${describeVolume(volume)} does not exist`);
    const backing = image['backing-filename'];
    return {
      virtualBytes: image['virtual-size'],
      actualBytes: image['actual-size'],
      format: await this.formatOf(volume),
      ...(backing === undefined ? {} : { backingVolumeId: path.basename(backing) }),
    };
  }

  /** From the volume itself down to its base. */
  async chain(volume: VolumeRef): Promise<readonly Layer[]> {
    const layers: Layer[] = [];
    for (const image of await this.imageInfo(volume, true)) {
      const layer = this.volumeAt(image.filename);
      if (!layer) throw new HostError('qemu-failed', `${describeVolume(volume)} rests on ${image.filename}, which is no volume of this host`);
      layers.push({ volume: layer, path: image.filename, format: await this.formatOf(layer) });
    }
    return layers;
  }

  /** The volume of the same disk that rests on this one, if any. */
  async childOf(volume: VolumeRef): Promise<VolumeRef | undefined> {
    for (const name of await fs.readdir(this.diskDirectory(volume.domainId, volume.diskId))) {
      if (!uuid.test(name)) continue;
      const other = { ...volume, volumeId: name };
      if ((await this.volumeInfo(other)).backingVolumeId === volume.volumeId) return other;
    }
    return undefined;
  }

  async removeVolume(volume: VolumeRef): Promise<void> {
    if ((await imageUse(this.volumePath(volume))).open) throw new HostError('volume-in-use', `${describeVolume(volume)} is open in a QEMU; unplug it first`);
    await this.unlinkVolume(volume);
  }

  async removeDisk(domainId: string, diskId: string): Promise<void> {
    const directory = this.diskDirectory(domainId, diskId);
    if (!(await exists(directory))) return;
    for (const name of await fs.readdir(directory)) {
      // A template's volume goes on being used by its other disks; here only this disk's name for it goes.
      if ((await fs.stat(path.join(directory, name))).nlink > 1) continue;
      if ((await imageUse(path.join(directory, name))).open) throw new HostError('volume-in-use', `disk ${diskId}: its volume ${name} is open in a QEMU; unplug it first`);
    }
    await fs.rm(directory, { recursive: true, force: true });
  }

  /** Without asking who uses it: for whoever has just let go of it. */
  async unlinkVolume(volume: VolumeRef): Promise<void> {
    const file = this.volumePath(volume);
    await removeFile(file);
    await removeFile(`${file}.meta`);
  }

  async damagedVolumes(volumes: readonly VolumeRef[]): Promise<readonly VolumeRef[]> {
    const damaged: VolumeRef[] = [];
    for (const volume of volumes) if (await this.isDamaged(volume)) damaged.push(volume);
    return damaged;
  }

  private async isDamaged(volume: VolumeRef): Promise<boolean> {
    try {
      for (const image of await this.imageInfo(volume, true)) {
        const layer = this.volumeAt(image.filename);
        if (!layer || image.format !== driverOf(await this.formatOf(layer))) return true;
        if (image['format-specific']?.data?.corrupt === true) return true;
      }
      return false;
    } catch (error) {
      if (error instanceof HostError) return true;
      throw error;
    }
  }

  /** The volume alone, or everything that it rests on, too. */
  async imageInfo(volume: VolumeRef, wholeChain: boolean): Promise<readonly ImageInfo[]> {
    const [file, driver] = [this.volumePath(volume), driverOf(await this.formatOf(volume))];
    try {
      return wholeChain ? await this.infos.chain(file, driver) : [await this.infos.one(file, driver)];
    } catch (error) {
      throw toHostError(error, describeVolume(volume));
    }
  }
}

/** Ids become path elements, so nothing but a UUID passes. */
export function checkedId(id: string, what: string): string {
  if (!uuid.test(id)) throw new HostError('no-such-volume', `"${id}" is no ${what} id (a UUID is expected)`);
  return id;
}

export async function exists(file: string): Promise<boolean> {
  try {
    await fs.access(file);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}
