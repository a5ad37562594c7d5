// What `qemu-img info` says of an image file. It is a process, and the engine asks all the time, about files that seldom change: an answer holds
// as long as the file is the same one, by its inode, sizes and times.
import fs from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { runTool } from './tools';

const imageSchema = z.object({
  filename: z.string(),
  format: z.string(),
  'virtual-size': z.number(),
  'actual-size': z.number().default(0),
  'backing-filename': z.string().optional(),
  'full-backing-filename': z.string().optional(),
  'backing-filename-format': z.string().optional(),
  'format-specific': z
    .object({ data: z.object({ corrupt: z.boolean().optional(), bitmaps: z.array(z.object({ name: z.string(), granularity: z.number(), flags: z.array(z.string()) })).optional() }).optional() })
    .optional(),
});
export type ImageInfo = z.infer<typeof imageSchema>;

/** Of the file system's clock: two changes within it may leave the same time. */
const coarseMs = 100;
const timeoutMs = 60_000;

export class ImageInfos {
  private readonly known = new Map<string, { readonly identity: string; readonly info: ImageInfo }>();

  constructor(private readonly run: typeof runTool = runTool) {}

  /** The image alone. Rejects when it cannot be opened as `driver`. */
  async one(file: string, driver: string): Promise<ImageInfo> {
    const askedMs = Date.now();
    const before = await identityOf(file);
    const known = this.known.get(file);
    if (known !== undefined && known.identity === before?.identity && known.info.format === driver) return known.info;
    // -U: a running VM holds the lock. -f: a damaged qcow2 must not pass for a raw one.
    const info = imageSchema.parse(JSON.parse(await this.run('qemu-img', ['info', '-U', '-f', driver, '--output=json', file], { timeoutMs })));
    const after = await identityOf(file);
    if (before !== undefined && before.identity === after?.identity && askedMs - before.changedMs > coarseMs) this.known.set(file, { identity: before.identity, info });
    else this.known.delete(file);
    return info;
  }

  /** And every one that it rests on. */
  async chain(file: string, driver: string): Promise<readonly ImageInfo[]> {
    const layers: ImageInfo[] = [];
    for (let next: { readonly file: string; readonly driver: string } | undefined = { file, driver }; next; ) {
      const info: ImageInfo = await this.one(next.file, next.driver);
      layers.push(info);
      const [below, format] = [info['full-backing-filename'], info['backing-filename-format']];
      if (layers.some(({ filename }) => filename === below)) throw new Error(`${file} rests on itself`);
      next = below === undefined ? undefined : { file: path.resolve(path.dirname(next.file), below), driver: format ?? 'raw' };
    }
    return layers;
  }
}

async function identityOf(file: string): Promise<{ readonly identity: string; readonly changedMs: number } | undefined> {
  try {
    const { dev, ino, size, blocks, mtimeNs, ctimeNs } = await fs.stat(file, { bigint: true });
    return { identity: [dev, ino, size, blocks, mtimeNs, ctimeNs].join(' '), changedMs: Number((mtimeNs > ctimeNs ? mtimeNs : ctimeNs) / 1_000_000n) };
  } catch {
    return undefined;
  }
}
