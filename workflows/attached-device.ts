// A copy whose disk is attached to an appliance: one that is away for a while takes its devices with it. How long a copy waits for them is a
// deadline's business, not a count's.
import { sleep } from '@temporalio/workflow';
import type { RunSettings } from '../domain/flows/settings';
import { readFailure } from './failures';
import type { FlowRun } from './flow-run';
import type { Proxies } from './proxies';

export interface AttachedDevice {
  readonly run: FlowRun;
  readonly proxies: Proxies;
  readonly settings: RunSettings;
  readonly applianceId: string;
  /** The disk as the run's progress knows it. */
  readonly diskId: string;
  /** The disk that is attached. */
  readonly device: { readonly diskId: string; readonly virtualBytes: number };
}

const lookAgainMs = 2_000;
/** A copy that has run for so long had its device. */
const wasThereMs = 60_000;

export async function whileAttached<T>({ run, proxies, settings, applianceId, diskId, device }: AttachedDevice, work: () => Promise<T>): Promise<T> {
  const { engine } = run.start;
  for (let awaySinceMs: number | undefined; ; ) {
    const begunAtMs = Date.now();
    try {
      return await work();
    } catch (error) {
      if (readFailure(error).code !== 'device.not-found') throw error;
      if (awaySinceMs === undefined || Date.now() - begunAtMs > wasThereMs) awaySinceMs = Date.now();
      // Found and not found in turn, by two workers that see different devices: that must end too.
      if (Date.now() - awaySinceMs > settings.deadlines.attachSeconds * 1000) throw error;
      run.setDisk(diskId, { state: 'waiting' });
      await sleep(lookAgainMs);
      await proxies.applianceQuick(engine, applianceId).findDevice({ engine, runId: run.runId, ...device });
    }
  }
}
