// Locks of running operations, in memory only (engine-rules.md section 1): a conflict answers at once, with the
// text of the one who holds it. What has to survive a restart is re-taken by the operation that resumes.
import type { Phrase } from './refusals';
import { refuse, type RefusalKey, type RefusalParameters } from './refusals';

export interface LockWish {
  readonly kind: 'VM' | 'DISK' | 'VM_DISK_BOOT' | 'STORAGE';
  readonly id: string;
  readonly mode: 'exclusive' | 'shared';
  /** What somebody else is told who cannot have it because we do. */
  readonly othersGet: { readonly key: RefusalKey; readonly parameters?: RefusalParameters };
}

interface Held extends LockWish {
  readonly holder: string;
}

export class Locks {
  private readonly held = new Set<Held>();
  private readonly releases = new Map<string, (() => void)[]>();

  /** Takes all or none. Returns the release, which may be called twice. */
  take(holder: string, asker: Phrase, wishes: readonly LockWish[]): () => void {
    for (const wish of wishes) {
      const conflict = [...this.held].find(
        (other) => other.kind === wish.kind && other.id === wish.id && (other.mode === 'exclusive' || wish.mode === 'exclusive'),
      );
      if (conflict !== undefined) throw refuse(conflict.othersGet.key, { ...conflict.othersGet.parameters, C: asker });
    }
    const taken = wishes.map((wish) => ({ ...wish, holder }));
    for (const lock of taken) this.held.add(lock);
    return () => {
      for (const lock of taken) this.held.delete(lock);
    };
  }

  /** Like `take`, for what outlasts its request: released by whoever ends it, with `free`. */
  hold(owner: string, ...[holder, asker, wishes]: Parameters<Locks['take']>): void {
    const release = this.take(holder, asker, wishes);
    this.releases.set(owner, [...(this.releases.get(owner) ?? []), release]);
  }

  rename(owner: string, to: string): void {
    const releases = this.releases.get(owner);
    if (releases !== undefined) this.releases.set(to, releases);
    this.releases.delete(owner);
  }

  free(owner: string): void {
    for (const release of this.releases.get(owner) ?? []) release();
    this.releases.delete(owner);
  }

  list(): readonly { readonly holder: string; readonly kind: string; readonly id: string; readonly mode: string }[] {
    return [...this.held].map(({ holder, kind, id, mode }) => ({ holder, kind, id, mode }));
  }
}
