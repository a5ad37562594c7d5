// What the parts of the engine contract share: the system under test, waiting (the port itself never waits), failures as codes.
import type { Engine, Snapshot, Vm, VmDisk } from '../../adapters/ovirt/port';
import { HoldfastError } from '../../domain/failures';

export interface EngineSetUp {
  readonly engine: Engine & { close(): Promise<void> };
  /** The same engine with a wrong password. */
  readonly stranger: Engine & { close(): Promise<void> };
  /** The same engine as a user who may look but not touch. */
  readonly reader: Engine & { close(): Promise<void> };
  /** On return the token of `engine` no longer counts. */
  letTokenExpire(): Promise<void>;
  /** A running VM with at least one image disk and one network card. */
  readonly vmName: string;
  /** A running VM that other VMs' snapshot disks are attached to. */
  readonly applianceName: string;
  tearDown(): Promise<void>;
}

const stepMs = 300;
export const deadlineMs = 120_000;
/** An id that no object has. */
export const nobody = '0dead000-0000-4000-8000-000000000000';

export async function until<Value>(what: string, look: () => Promise<Value | undefined>): Promise<Value> {
  for (const endsAt = Date.now() + deadlineMs; Date.now() < endsAt; await new Promise((resolve) => setTimeout(resolve, stepMs))) {
    const value = await look();
    if (value !== undefined) return value;
  }
  throw new Error(`${what}: not within ${deadlineMs} ms`);
}

export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'no failure';
  } catch (error) {
    if (error instanceof HoldfastError) return error.code;
    throw error;
  }
}

/** What the tests of one contract share. */
export interface Stage extends EngineSetUp {
  readonly vm: Vm;
  readonly appliance: Vm;
  readonly disks: readonly VmDisk[];
}

export async function createSnapshot({ engine, vm, disks }: Stage, description: string): Promise<{ snapshot: Snapshot; correlationId: string }> {
  const created = await engine.createSnapshot({ vmId: vm.id, description, diskIds: disks.map(({ settings }) => settings.diskId) });
  const snapshot = await until(`snapshot ${created.snapshot.id} is ok`, async () => {
    const now = await engine.getSnapshot(vm.id, created.snapshot.id);
    return now?.status === 'ok' ? now : undefined;
  });
  return { snapshot, correlationId: created.correlationId };
}

export async function removeSnapshot({ engine, vm }: Stage, snapshotId: string): Promise<void> {
  await engine.removeSnapshot(vm.id, snapshotId);
  await until(`snapshot ${snapshotId} is gone`, async () => ((await engine.getSnapshot(vm.id, snapshotId)) === undefined ? true : undefined));
}
