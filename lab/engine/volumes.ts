// What the files say: sizes on disk and damage. The host is asked whenever somebody looks; an answer is reused for half
// a second so that one listing does not start a hundred qemu-img processes.
import { HostError, type Host, type VolumeInfo, type VolumeRef } from '../host/port';

interface Known<T> {
  readonly atMs: number;
  readonly value: Promise<T>;
}

const reuseMs = 500;

export class Volumes {
  private readonly damage = new Map<string, Known<boolean>>();
  private readonly infos = new Map<string, Known<VolumeInfo | undefined>>();

  constructor(private readonly host: Host) {}

  /** Which of these are missing or unreadable, by volume id. */
  async damaged(volumes: readonly VolumeRef[]): Promise<ReadonlySet<string>> {
    const wanted = [...new Map(volumes.map((volume) => [volume.volumeId, volume])).values()];
    const stale = wanted.filter((volume) => !isFresh(this.damage.get(volume.volumeId)));
    if (stale.length > 0) {
      const asked = this.host.damagedVolumes(stale);
      for (const { volumeId } of stale) {
        this.damage.set(volumeId, { atMs: Date.now(), value: asked.then((found) => found.some((bad) => bad.volumeId === volumeId)) });
      }
    }
    const verdicts = await Promise.all(wanted.map(async ({ volumeId }) => [volumeId, await this.damage.get(volumeId)?.value] as const));
    return new Set(verdicts.flatMap(([volumeId, bad]) => (bad === true ? [volumeId] : [])));
  }

  /** Undefined when the volume cannot be read. */
  async info(volume: VolumeRef): Promise<VolumeInfo | undefined> {
    const known = this.infos.get(volume.volumeId);
    if (known !== undefined && isFresh(known)) return known.value;
    const value = this.host.volumeInfo(volume).catch((error: unknown) => {
      if (error instanceof HostError) return undefined;
      throw error;
    });
    this.infos.set(volume.volumeId, { atMs: Date.now(), value });
    return value;
  }

  /** After an operation changed files, nobody may be told what was before. */
  forget(): void {
    this.damage.clear();
    this.infos.clear();
  }
}

function isFresh(known: Known<unknown> | undefined): boolean {
  return known !== undefined && Date.now() - known.atMs < reuseMs;
}
