// Keeps a ticket alive on which nothing happens, say because the copy is throttled or waits for the other side: the daemon counts an
// OPTIONS as activity, and the engine judges by what the daemon counts.
import type { Channel } from './channel';

export class KeepAlive {
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly options: { readonly channel: Channel; readonly keepAliveMs: number; readonly onKeepAlive?: () => void },
    private readonly touch: () => Promise<unknown>,
  ) {
    this.timer = setInterval(() => this.tick(), options.keepAliveMs);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** A touch that fails is nobody's failure: the next request meets the same and says so. */
  private tick(): void {
    if (this.options.channel.idleMs >= this.options.keepAliveMs / 2) this.touch().catch(() => undefined);
    this.options.onKeepAlive?.();
  }
}
