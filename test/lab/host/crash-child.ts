// A lab that works without pause, to be killed by crash.test.ts: it takes over what the last one left, then snapshots, attaches,
// detaches and merges one disk again and again. Runs as a process of its own; prints a line per step.
import fs from 'node:fs/promises';
import path from 'node:path';
import { createHost, type LocalHost, type VmDisk, type VolumeRef } from '../../../lab/host';
import { randomUUID } from 'node:crypto';

interface Task {
  readonly stateDir: string;
  readonly guestDir: string;
  readonly cacheDir: string;
  readonly demo: string;
  readonly appliance: string;
  readonly base: VolumeRef;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(task: Task): Promise<void> {
  const log = { info: () => undefined, warn: (fields: object, message: string) => say(`warning: ${message} ${JSON.stringify(fields)}`) };
  const host = createHost({ stateDir: task.stateDir, guestDir: task.guestDir, cacheDir: task.cacheDir, log });
  await host.start();
  for (const vmId of [task.demo, task.appliance]) while (host.vmStatus(vmId) !== 'up') await new Promise((resolve) => setTimeout(resolve, 20));
  await recover(host, task);
  say('recovered');
  for (let round = 1; ; round += 1) {
    const next = { ...task.base, volumeId: randomUUID() };
    await host.snapshot(task.demo, [{ diskId: task.base.diskId, current: task.base, currentFormat: 'cow', next }]);
    say(`snapshot ${round}`);
    await host.plugDisk(task.appliance, snapshotDisk(task.base));
    say(`plugged ${round}`);
    await host.unplugDisk(task.appliance, task.base.diskId);
    say(`unplugged ${round}`);
    await host.merge(task.demo, mergeOf(task.base, next));
    say(`merged ${round}`);
  }
}

/** As an engine would: detach first; a volume that nobody uses was never changed over to, one that is in use gets merged. */
async function recover(host: LocalHost, { demo, appliance, base }: Task): Promise<void> {
  await host.unplugDisk(appliance, base.diskId);
  const names = await fs.readdir(path.dirname(host.volumePath(base)));
  for (const volumeId of new Set(names.map((name) => path.basename(name, '.meta')))) {
    if (volumeId === base.volumeId) continue;
    const top = { ...base, volumeId };
    try {
      await host.removeVolume(top);
      say('dropped an unused volume');
    } catch {
      await host.merge(demo, mergeOf(base, top));
      say('merged a used volume');
    }
  }
}

function mergeOf(base: VolumeRef, top: VolumeRef): Parameters<LocalHost['merge']>[1] {
  return { diskId: base.diskId, base, top, topIsActive: true };
}

function snapshotDisk(volume: VolumeRef): VmDisk {
  return { diskId: volume.diskId, top: volume, format: 'cow', bus: 'virtio_scsi', readOnly: false, transient: true };
}

main(JSON.parse(process.argv[2] ?? '{}') as Task).catch((error: unknown) => {
  say(`failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exit(1);
});
