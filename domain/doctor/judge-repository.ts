// A repository's file system: space, flushing, locks. Pure.
import { humanBytes } from '../units';
import { ok, problem, warning, type Judgement } from './checks';

const leastBytes = 1024 ** 3;
const comfortableShare = 0.1;

export function judgeSpace({ availableBytes, totalBytes }: { readonly availableBytes: number; readonly totalBytes: number }): Judgement {
  const share = totalBytes === 0 ? 0 : availableBytes / totalBytes;
  const text = `${humanBytes(availableBytes)} of ${humanBytes(totalBytes)} are free (${Math.floor(share * 100)} %)`;
  if (availableBytes < leastBytes) return problem(text);
  return share < comfortableShare ? warning(text) : ok(text);
}

export interface FileSystemFacts {
  /** As /proc/self/mountinfo calls it: ext4, nfs4, tmpfs, … */
  readonly type: string;
  readonly options: readonly string[];
}

export interface FlushFacts extends FileSystemFacts {
  /** Of a small write with its flush. */
  readonly medianMs: number;
}

const inMemory = ['tmpfs', 'ramfs', 'devtmpfs'];
const network = /^(nfs4?|cifs|smb3?|smbfs|ceph|glusterfs|lustre|9p|virtiofs|afs)$|^fuse\.(sshfs|glusterfs|ceph|s3fs|rclone)/;
/** A flush that reaches another machine's disk takes a round trip and a write; below this it ended in somebody's memory. */
const implausibleMs = 0.1;
const slowMs = 250;

export function judgeFlush({ type, options, medianMs }: FlushFacts): Judgement {
  const text = `${type}, ${medianMs < 1 ? medianMs.toFixed(3) : medianMs.toFixed(1)} ms for a small write with its flush`;
  if (inMemory.includes(type)) return warning(`${text}: this is memory, backups are gone after a restart`, 'Use a repository on a disk file system.');
  const loose = options.filter((option) => /^(nobarrier|barrier=0|nobarriers|eatmydata)$/.test(option));
  if (loose.length > 0) return warning(`${text}: mounted with ${loose.join(', ')}, so a flush does not reach the disk`, 'Mount it without that option.');
  if (network.test(type) && medianMs < implausibleMs) return warning(`${text}: too quick for a flush over a network, so the server probably answers before it has written`, 'Export it with sync (NFS), and turn off whatever acknowledges early.');
  if (medianMs > slowMs) return warning(`${text}: every durable position of a copy waits for that`, 'Look at the storage below; a repository that slow limits every copy.');
  return ok(text);
}

export type LockFacts =
  | { readonly outcome: 'refused' }
  /** Both were let in. */
  | { readonly outcome: 'both-opened' }
  /** Not even the first one could open it. */
  | { readonly outcome: 'unusable'; readonly reason: string };

export function judgeLocking(locks: LockFacts, { type, options }: FileSystemFacts): Judgement {
  if (locks.outcome === 'unusable') return problem(`QEMU cannot open an image there: ${locks.reason}`);
  if (locks.outcome === 'both-opened') return problem(`two QEMU processes could open one image for writing on ${type}`);
  const local = options.filter((option) => /^(nolock|local_lock=(all|posix|flock))$/.test(option));
  if (local.length > 0) return warning(`locks work within this machine only (${type} mounted with ${local.join(', ')})`);
  return ok(`a second writer of an image is refused (${type})`);
}
