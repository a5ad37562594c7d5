// The watch over guests that Holdfast has asked to freeze: whoever owns them, none stands still because nobody is left to thaw it. It stands beside
// Temporal on purpose, for Temporal may be what is away.
import { thawForgotten, type Forgotten } from '../activities/forgotten-freezes';
import type { Log } from './logging';

/** A guest is overdue after nine seconds, and ten are promised. */
const everyMs = 1_000;
/** Each refusal of a mute guest's agent is an event in the engine's log. */
const longestPauseMs = 60_000;

export function watchFrozenGuests(outside: Forgotten, log: Pick<Log, 'warn'>): { stop(): Promise<void> } {
  let looking: Promise<void> | undefined;
  let asked: ReadonlyMap<string, { readonly pauseMs: number; readonly atMs: number }> = new Map();
  const look = async (): Promise<void> => {
    try {
      const { thawed, mute } = await thawForgotten({ ...outside, isDue: (vmId) => (asked.get(vmId)?.atMs ?? 0) <= Date.now() });
      for (const vmId of thawed) log.warn({ vmId }, 'a guest that Holdfast had frozen was overdue, and is thawed');
      for (const vmId of mute) log.warn({ vmId }, 'a guest that Holdfast has asked to freeze does not answer the thaw; look at the VM. It is asked again');
      const later = mute.map((vmId) => [vmId, Math.min((asked.get(vmId)?.pauseMs ?? everyMs / 2) * 2, longestPauseMs)] as const);
      asked = new Map([...asked].filter(([vmId]) => !thawed.includes(vmId)).concat(later.map(([vmId, pauseMs]) => [vmId, { pauseMs, atMs: Date.now() + pauseMs }])));
    } catch (error) {
      log.warn({ reason: String(error) }, 'whether a guest stands still could not be looked up');
    }
  };
  const timer = setInterval(() => {
    looking ??= look().finally(() => (looking = undefined));
  }, everyMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await looking;
    },
  };
}
