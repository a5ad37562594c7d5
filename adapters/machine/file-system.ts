// Which file system a path lies on and how it is mounted (/proc/self/mountinfo, proc(5)); and how much room it has.
import { readFile, realpath, statfs } from 'node:fs/promises';
import type { FileSystemFacts } from '../../domain/doctor/judge-repository';

export async function fileSystemOf(path: string): Promise<FileSystemFacts> {
  const real = await realpath(path);
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').flatMap((line) => parseMount(line) ?? []);
  // Mounted over each other: the last one counts.
  const holding = mounts.filter(({ point }) => point === '/' || real === point || real.startsWith(`${point}/`));
  const innermost = holding.reduce<Mount | undefined>((best, mount) => (best === undefined || mount.point.length >= best.point.length ? mount : best), undefined);
  return { type: innermost?.type ?? 'unknown', options: innermost?.options ?? [] };
}

export async function spaceOf(path: string): Promise<{ readonly availableBytes: number; readonly totalBytes: number }> {
  const { bavail, blocks, bsize } = await statfs(path);
  return { availableBytes: bavail * bsize, totalBytes: blocks * bsize };
}

interface Mount extends FileSystemFacts {
  readonly point: string;
}

/** `36 35 98:0 /root /mount/point rw,noatime master:1 - ext4 /dev/vda rw,errors=continue`; blanks are written as \040. */
export function parseMount(line: string): Mount | undefined {
  const [own, superblock] = line.split(' - ');
  const [, , , , point, options] = (own ?? '').split(' ');
  const [type, , superOptions] = (superblock ?? '').split(' ');
  if (point === undefined || type === undefined) return undefined;
  return { point: point.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))), type, options: [...new Set(`${options ?? ''},${superOptions ?? ''}`.split(',').filter((option) => option !== ''))] };
}
