// Where activities are tried: a fake engine with rules, the real catalog, and the environment that Temporal would give them.
import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createControlActivities, type ControlActivities } from '../../activities';
import type { FreezeLimits } from '../../activities/thaw';
import type { Catalog } from '../../adapters/catalog/port';
import type { VmObjective } from '../../domain/awareness/vm-objectives';
import { HoldfastError } from '../../domain/failures';
import type { Holding } from '../../domain/holdings';
import { FakeEngine } from '../fakes/fake-engine';
import { fakeDisk, fakeVm, type FakeDisk, type FakeVm } from '../fakes/fake-world';
import { startCatalog, type TestCatalog } from '../support/catalog';
import { settings } from '../workflows/answers';

export interface Desk {
  readonly engine: FakeEngine;
  readonly vm: FakeVm;
  readonly appliance: FakeVm;
  readonly disks: readonly FakeDisk[];
  readonly catalog: Catalog;
  /** The configuration's; none unless a test adds some. */
  readonly objectives: VmObjective[];
  /** A run of this VM that is open in the catalog. */
  readonly runId: string;
  /** One attempt of an activity; failures come mapped. */
  attempt<Name extends keyof ControlActivities>(name: Name, ...input: Parameters<ControlActivities[Name]>): ReturnType<ControlActivities[Name]>;
  /** One attempt, which the test may cancel. */
  attemptIn<Name extends keyof ControlActivities>(environment: MockActivityEnvironment, name: Name, ...input: Parameters<ControlActivities[Name]>): ReturnType<ControlActivities[Name]>;
  /** Attempts until one succeeds, as Temporal would, but at once. */
  retried<Name extends keyof ControlActivities>(name: Name, ...input: Parameters<ControlActivities[Name]>): ReturnType<ControlActivities[Name]>;
  holdings(runId?: string): Promise<readonly Holding[]>;
  openRun(): Promise<string>;
}

/** Call it at the top of a file: one catalog for all its tests. What it gives opens a desk; one for each test. */
export function useDesks(): () => Promise<Desk> {
  let running: TestCatalog;
  beforeAll(async () => {
    running = await startCatalog();
  }, 120_000);
  afterAll(() => running.stop());
  return () => openDesk(running.catalog);
}

async function openDesk(catalog: Catalog): Promise<Desk> {
  const engine = new FakeEngine();
  const disks = [fakeDisk('demo_Disk1', { settings: { bootable: true } }), fakeDisk('demo_Disk2')];
  const vm = engine.add(fakeVm('demo'), ...disks);
  const appliance = engine.add(fakeVm('appliance'), fakeDisk('appliance_Disk1'));
  const engineOf = (name: string): FakeEngine => {
    if (name !== 'lab') throw new HoldfastError('config.invalid', `no engine ${name}`);
    return engine;
  };
  const limits: FreezeLimits = { frozenMs: 500, callMs: 100, patienceMs: { before: 250, after: 400, undo: 400 } };
  const objectives: VmObjective[] = [];
  const activities = createControlActivities({
    vmObjectivesOf: () => objectives,
    limits, stillbornMs: 300,
    engineOf, catalog, imageioOf: () => ({ proxy: 'when-needed', connections: 4, inactivityTimeoutSeconds: 600 }), settingsOf: (name) => (engineOf(name), settings),
    copyLimitsOf: () => ({ copiesAtOnce: 4, copiesAtOncePerStorageDomain: 2, storageDomains: {} }), isExecutionRunning: () => Promise.resolve(true),
  });
  const attemptIn = (environment: MockActivityEnvironment, name: keyof ControlActivities, ...input: readonly unknown[]): Promise<unknown> => environment.run(activities[name] as (...args: readonly unknown[]) => Promise<unknown>, ...input);
  const attempt = async (name: keyof ControlActivities, ...input: readonly unknown[]): Promise<unknown> => attemptIn(new MockActivityEnvironment(undefined, { logger: new DefaultLogger('ERROR') }), name, ...input);
  const retried = async (name: keyof ControlActivities, ...input: readonly unknown[]): Promise<unknown> => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await attempt(name, ...input);
      } catch (error) {
        if (tries === 10 || !(error instanceof Error) || ('nonRetryable' in error && error.nonRetryable === true)) throw error;
      }
    }
  };
  const openRun = async (): Promise<string> => {
    const runId = randomUUID();
    await catalog.openRun({ runId, workflowId: `vm/lab/${vm.id}`, workflowType: 'backupVm', engine: 'lab', vmId: vm.id, vmName: 'demo' });
    return runId;
  };
  const runId = await openRun();
  return {
    engine, vm, appliance, disks, catalog, objectives, runId, openRun,
    attempt: attempt as Desk['attempt'],
    attemptIn: attemptIn as Desk['attemptIn'],
    retried: retried as Desk['retried'],
    holdings: (of = runId) => catalog.listHoldings({ runId: of }),
  };
}

export async function alertsOf({ catalog }: Desk, runId: string): Promise<readonly { readonly code: string; readonly message: string }[]> {
  return (await catalog.listAlerts()).filter((alert) => alert.runId === runId);
}

/** The failure that an attempt ends with, as Temporal sees it. */
export async function failureOf(attempt: Promise<unknown>): Promise<{ readonly type?: string; readonly nonRetryable?: boolean; readonly message: string }> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error('the attempt was expected to fail');
}
