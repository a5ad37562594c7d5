// For the lab's faults: bitmaps that say less than they should. QEMU takes no bit out of a bitmap, so a new one is made which has only the rest.
import { z } from 'zod';
import { addFileBitmap } from '../bitmaps/file-bitmaps';
import { runTool } from '../tools';

export interface DirtyExtent {
  readonly startBytes: number;
  readonly lengthBytes: number;
}

const mapSchema = z.array(z.object({ start: z.number(), length: z.number(), data: z.boolean() }));
const rangesAtOnce = 500;

/** Whom to lie to, and by how much; each lie is told once. */
export class Lies {
  private readonly bytesByDisk = new Map<string, number>();

  prepare(diskId: string, bytes: number): void {
    this.bytesByDisk.set(diskId, bytes);
  }

  take(diskId: string): number | undefined {
    const bytes = this.bytesByDisk.get(diskId);
    this.bytesByDisk.delete(diskId);
    return bytes;
  }
}

/** What an NBD export says about one of its bitmaps. */
export async function dirtyExtents(socket: string, exportName: string, bitmap: string): Promise<readonly DirtyExtent[]> {
  // With this option QEMU shows dirty as "no data" (a hack of QEMU's own tests, in words that mean the opposite).
  const source = ['driver=nbd', `export=${exportName}`, 'server.type=unix', `server.path=${socket.replaceAll(',', ',,')}`, `x-dirty-bitmap=qemu:dirty-bitmap:${bitmap}`].join(',');
  const map = mapSchema.parse(JSON.parse(await runTool('qemu-img', ['map', '--output=json', '--image-opts', source])));
  return map.filter(({ data }) => !data).map(({ start, length }) => ({ startBytes: start, lengthBytes: length }));
}

/** Without the first `bytes` of them. */
export function withoutFirst(extents: readonly DirtyExtent[], bytes: number): readonly DirtyExtent[] {
  let left = bytes;
  return extents.flatMap(({ startBytes, lengthBytes }) => {
    const cut = Math.min(left, lengthBytes);
    left -= cut;
    return cut === lengthBytes ? [] : [{ startBytes: startBytes + cut, lengthBytes: lengthBytes - cut }];
  });
}

/** A qcow2 file of this size whose one bitmap has just these extents. */
export async function makeBitmapFile(file: string, bitmap: string, virtualBytes: number, extents: readonly DirtyExtent[]): Promise<void> {
  await runTool('qemu-img', ['create', '-q', '-f', 'qcow2', file, String(virtualBytes)]);
  await addFileBitmap(file, bitmap);
  for (let first = 0; first < extents.length; first += rangesAtOnce) {
    const writes = extents.slice(first, first + rangesAtOnce).flatMap(({ startBytes, lengthBytes }) => ['-c', `write -q -z ${startBytes} ${lengthBytes}`]);
    await runTool('qemu-io', ['-f', 'qcow2', ...writes, file]);
  }
}
