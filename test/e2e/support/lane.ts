// What the appliance's data path promises on each of its lanes (FUSE export, NBD socket): no byte over TCP, and a guest of the appliance
// that writes to the attached snapshot spoils nothing.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { BackupSummary } from '../../../client';
import { qemuPid, untilProgress } from './copies';
import { startLanFreeWorker, tcpSocketsOf, whyNotLanFree, type LanFreeWorker } from './lan-free';
import type { Stack } from './stack';
import { ask, digestOfVolume, makeVm, mib, volumePath, type TestVm } from './vms';

const limitMs = 90_000;
const manifestSchema = z.object({ disks: z.array(z.object({ transport: z.string(), settings: z.object({ alias: z.string() }) })), leftOut: z.array(z.object({ alias: z.string(), why: z.string() })) });

export async function manifestOf(stack: Stack, { vmId, backupId }: BackupSummary): Promise<z.infer<typeof manifestSchema>> {
  return manifestSchema.parse(JSON.parse(await readFile(path.join(stack.parts.repository.path, 'vms', vmId, backupId, 'manifest.json'), 'utf8')));
}

export const rootsOf = (disks: readonly { readonly alias: string; readonly root: string }[]): Record<string, string> => Object.fromEntries(disks.map(({ alias, root }) => [alias, root]));

/** Call it inside a describe; `transport` is what a snapshot's disk must be read through. */
export function laneTests(stackOf: () => Stack, transport: (stack: Stack) => string): void {
  const skipped = whyNotLanFree();
  if (skipped !== undefined) console.warn(`skipped: counting the bytes over TCP: ${skipped}`);
  let stack: Stack;
  let vm: TestVm;
  let worker: LanFreeWorker | undefined;

  beforeAll(async () => {
    stack = stackOf();
    vm = await makeVm(stack, 'source', [
      { alias: 'source_Disk1', format: 'cow', sizeMib: 96, dataMib: 48 },
      { alias: 'source_Disk2', format: 'raw', sizeMib: 64, dataMib: 32, interface: 'virtio' },
    ], { start: true });
    if (skipped === undefined) worker = await startLanFreeWorker(stack);
  }, limitMs);
  afterAll(async () => {
    await worker?.stop();
  }, limitMs);

  const backUp = async (bandwidthMib?: number) => stack.track(await stack.client.backupVm({
    engine: stack.engine, vmId: vm.id, repository: stack.repository, ...(bandwidthMib === undefined ? {} : { bandwidthBytesPerSecond: bandwidthMib * mib }),
  }));
  const overTcp = async (): Promise<number> => (worker ? worker.relayedBytes() + (await worker.loopbackBytes()) : 0);

  (skipped === undefined ? test : test.skip)('a backup and its restore move no byte of the disks over TCP', async () => {
    const before = await overTcp();
    const handle = await backUp();
    await untilProgress(handle, 'the copy has begun', ({ phase }) => phase === 'copy');
    for (const vmId of [stack.applianceId, vm.id]) expect(await tcpSocketsOf(await qemuPid(stack, vmId))).toEqual([]);
    const { backup } = await handle.result();
    const restored = await stack.track(await stack.client.restoreVm({ engine: stack.engine, repository: stack.repository, backupId: backup.backupId, name: 'lan-free' })).result();
    stack.keptVmIds.add(restored.vmId);
    const moved = (await overTcp()) - before;
    // Heartbeats and tasks did go this way, so the count is not blind; the disks' 80 MiB, written and read, did not.
    expect(backup.dataBytes).toBeGreaterThanOrEqual(80 * mib);
    expect(moved).toBeGreaterThan(0);
    expect(moved).toBeLessThan(backup.dataBytes / 20);
    expect(rootsOf(backup.disks)).toEqual(rootsOf(vm.disks));
    expect(rootsOf(restored.disks)).toEqual(rootsOf(vm.disks));
    const { disks } = await manifestOf(stack, backup);
    expect(disks.map((disk) => disk.transport)).toEqual(disks.map(() => transport(stack)));
    await stack.lab.removeWithDisks(restored.vmId);
  }, limitMs);

  test('the appliance\'s guest writes to the attached snapshots during the copy, and the backup is right', async () => {
    const handle = await backUp(4);
    await untilProgress(handle, 'the copy has begun', ({ disks }) => disks.every(({ state }) => state === 'copying'));
    for (const { id, virtualBytes } of vm.disks) {
      // Where the copy has been or is, and where it has yet to come.
      const places = [0, virtualBytes / 2 / mib];
      const write = places.map((seek) => `dd if=/dev/urandom of=$dev bs=1M count=8 seek=${seek} oflag=direct 2>/dev/null`).join('; ');
      const script = `dev=$(disk-by-serial ${id}) && sum() { dd if=$dev bs=1M count=8 iflag=direct 2>/dev/null | sha256sum; }; before=$(sum); ${write}; [ "$before" != "$(sum)" ] && echo written`;
      expect(await stack.lab.guest(stack.applianceId, script)).toMatch(/written/);
    }
    await handle.pause();
    expect(await handle.progress()).toMatchObject({ phase: 'copy', paused: true });
    const [snapshot] = await ask.snapshots(stack, vm.id);
    const reference: Record<string, string> = {};
    for (const disk of await ask.snapshotDisks(stack, vm.id, snapshot?.id ?? '')) reference[disk.alias] = await digestOfVolume(stack, await volumePath(stack, disk), disk.format === 'cow' ? 'qcow2' : 'raw');
    await handle.setBandwidth(null);
    await handle.resume();
    const { backup } = await handle.result();
    expect(rootsOf(backup.disks)).toEqual(reference);
    expect(rootsOf(backup.disks)).toEqual(rootsOf(vm.disks));
  }, limitMs);
}
