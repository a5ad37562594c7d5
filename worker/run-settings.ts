// What activities and runs get of an engine's part of the configuration.
import type { ImageioSettings } from '../activities/dependencies';
import type { DaemonSettings } from '../activities/doctor';
import type { RunSettings } from '../domain/flows/settings';
import type { EngineConfig, WorkerConfig } from './config';

const dayMs = 24 * 3600 * 1000;

export function runSettingsOf({ heartbeatSeconds, callSeconds, deadlines, limits }: WorkerConfig, { snapshotPrefix, appliances, witness, chains }: EngineConfig): RunSettings {
  const chain = { maxChainLength: chains.maxLength, ...(chains.fullEveryDays === undefined ? {} : { fullEveryMs: chains.fullEveryDays * dayMs }) };
  return { snapshotPrefix, applianceIds: appliances, witness, chain, disksAtOnce: limits.disksPerRun, heartbeatSeconds, callSeconds, deadlines };
}

/** Hosts are trusted as their engine is. */
export function imageioSettingsOf({ imageio, caFile, insecure }: EngineConfig): ImageioSettings & DaemonSettings {
  return { ...imageio, insecure, ...(caFile === undefined ? {} : { caFile }) };
}
