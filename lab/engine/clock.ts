// The engine's clock for what lasts long: retention of finished backups and transfers, ticket renewal, inactivity. Somebody who
// tests may put it forward; it never goes back. Dates of objects and events are the machine's.

export class Clock {
  private readonly advances: { readonly atMs: number; readonly byMs: number }[] = [];

  nowMs(): number {
    return Date.now() + this.advancedSince(0);
  }

  /** How long ago this moment of the machine's clock is for the engine. */
  elapsedMs(sinceMs: number): number {
    return Date.now() - sinceMs + this.advancedSince(sinceMs);
  }

  advance(seconds: number): void {
    this.advances.push({ atMs: Date.now(), byMs: seconds * 1000 });
  }

  advancedSince(sinceMs: number): number {
    return this.advances.filter(({ atMs }) => atMs >= sinceMs).reduce((sum, { byMs }) => sum + byMs, 0);
  }
}
