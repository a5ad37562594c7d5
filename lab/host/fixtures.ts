// Disks with something on them, for the lab's demo data center and for tests: an ext4 file system made from a directory.
import path from 'node:path';
import type { LocalHost } from './host';
import type { NewVolume } from './port';
import { removeFile } from './state-file';
import { describeVolume, driverOf } from './storage';
import { runTool, toHostError } from './tools';

/**
 * Creates the volume and fills it with an ext4 that holds the directory's content. Nothing is left for the guest to initialise
 * later: lazy initialisation would quadruple what an idle guest dirties (qemu-lab.md, trap 5).
 */
export async function createFilesystemVolume(host: LocalHost, volume: NewVolume, sourceDir: string): Promise<void> {
  await host.createVolume(volume);
  const target = host.volumePath(volume);
  const image = path.join(path.dirname(target), `.${volume.volumeId}.ext4`);
  try {
    await formatExt4(image, volume.virtualBytes, sourceDir);
    await runTool('qemu-img', ['convert', '-n', '--target-is-zero', '-f', 'raw', '-O', driverOf(volume.format), image, target]);
  } catch (error) {
    await host.removeVolume(volume);
    throw toHostError(error, `file system on ${describeVolume(volume)}`);
  } finally {
    await removeFile(image);
  }
}

/** A raw image with an ext4 file system, sparse. */
export async function formatExt4(image: string, sizeBytes: number, sourceDir?: string): Promise<void> {
  const content = sourceDir === undefined ? [] : ['-d', sourceDir];
  await runTool('mkfs.ext4', ['-q', '-F', '-b', '4096', '-E', 'lazy_itable_init=0,lazy_journal_init=0', ...content, image, `${Math.floor(sizeBytes / 1024)}k`]);
}
