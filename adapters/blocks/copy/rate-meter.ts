// Bytes per second over the last seconds, from a counter that only grows.

const windowMs = 3_000;

export class RateMeter {
  private readonly samples: { atMs: number; bytes: number }[];

  constructor(startBytes: number) {
    this.samples = [{ atMs: performance.now(), bytes: startBytes }];
  }

  rate(bytes: number): number {
    const now = { atMs: performance.now(), bytes };
    this.samples.push(now);
    while (this.samples.length > 2 && now.atMs - (this.samples[1]?.atMs ?? 0) > windowMs) this.samples.shift();
    const oldest = this.samples[0] ?? now;
    const seconds = (now.atMs - oldest.atMs) / 1000;
    return seconds <= 0 ? 0 : Math.round((now.bytes - oldest.bytes) / seconds);
  }
}
