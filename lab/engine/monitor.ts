// What the engine does by itself, again and again: it looks at running transfers and at hybrid backups that somebody finalized, and forgets
// what has been over for long enough (engine-rules.md section 4, configuration).
import { ageEvents } from './audit-log';
import type { Context } from './context';
import { runTransfer } from './commands/advance-transfer';
import { endPurged, operationOf } from './commands/end-backup';
import { finalizeHybrid } from './commands/hybrid-backup';
import { isFinal, type BackupRecord } from './state/backup-model';

const minute = 60_000;
const sweepEveryMs = 10 * minute;
const keptMs = { succeeded: 15 * minute, failed: 30 * minute } as const;

export class Monitor {
  private timer: NodeJS.Timeout | undefined;
  private sweptMs: number;
  private readonly finalizing = new Set<string>();

  constructor(private readonly context: Context) {
    this.sweptMs = context.clock.nowMs();
  }

  start(pollMs: number): void {
    this.timer = setInterval(() => {
      void this.poll();
    }, pollMs);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /** Resolves when everything that was due has been done; a merge goes on. */
  async poll(): Promise<void> {
    const { store, background } = this.context;
    const running = store.tables.transfers.where(({ phase }) => !isFinal(phase));
    const polls = running.map(({ id }) => background.run(`poll transfer ${id}`, () => runTransfer(this.context, id, true)));
    for (const { id } of store.tables.backups.where((backup) => backup.phase === 'ready' && backup.stopAsked)) this.finalize(id);
    await Promise.all(polls);
    await this.sweep();
  }

  private finalize(id: string): void {
    const operation = operationOf(this.context, id);
    if (operation === undefined || this.finalizing.has(id)) return;
    this.finalizing.add(id);
    void this.context.background.run(`finalize backup ${id}`, async () => {
      try {
        await finalizeHybrid(this.context, operation);
      } finally {
        this.finalizing.delete(id);
      }
    });
  }

  private async sweep(): Promise<void> {
    const { clock, store, settings } = this.context;
    if (this.timer === undefined || clock.nowMs() - this.sweptMs < sweepEveryMs) return;
    this.sweptMs = clock.nowMs();
    const { backups, transfers } = store.tables;
    const isDue = ({ phase, modifiedMs }: BackupRecord): boolean => (phase === 'succeeded' || phase === 'failed') && clock.elapsedMs(modifiedMs) > keptMs[phase];
    for (const { id } of backups.where(isDue)) {
      const operation = operationOf(this.context, id);
      if (operation !== undefined) await this.context.background.run(`end purged backup ${id}`, () => endPurged(this.context, operation));
    }
    store.write(() => {
      for (const { id } of backups.where(isDue)) backups.delete(id);
      for (const { id, phase, updatedMs } of transfers.where((row) => isFinal(row.phase)))
        if (clock.elapsedMs(updatedMs) > keptMs[phase === 'finished_success' ? 'succeeded' : 'failed']) transfers.delete(id);
    });
    await this.context.background.run('age events', async () => {
      await ageEvents(this.context, settings.auditLogAgingDays);
    });
  }
}
