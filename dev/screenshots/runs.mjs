// Three backups of the lab's VM demo, one after the other, for the pictures: one that is cancelled, one that fails and leaves its snapshot
// behind, and one that still runs.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { request } from 'node:http';
import { join } from 'node:path';
import { findAppliance, readConnection } from '../parts/lab.mjs';
import { until } from './until.mjs';

const require = createRequire(import.meta.url);
const slowly = { bandwidthBytesPerSecond: 2 ** 20 };
/** Enough for an undo on a busy machine, and soon over for the one that cannot succeed. */
const undoSeconds = 45;

/** Shortens the patience of undos, which is hours by default. */
export async function hurryUndos(parts) {
  const part = parts.part('worker-control');
  await part.stop();
  const file = join(parts.state, 'worker-control.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), deadlines: { undoSeconds } }), { mode: 0o600 });
  await part.start();
}

function askLab(controlSocket, method, path, body) {
  return new Promise((done, fail) => {
    const sent = request({ socketPath: controlSocket, path, method, headers: { 'content-type': 'application/json' } }, (response) => {
      let text = '';
      response.on('data', (data) => { text += data; });
      response.on('error', fail);
      response.on('end', () => (response.statusCode < 300 ? done(text) : fail(new Error(`the lab answered ${response.statusCode} to ${method} ${path}: ${text}`))));
    });
    sent.on('error', fail);
    sent.end(body && JSON.stringify(body));
  });
}

/** @returns {Promise<{ running: object, failed: object, cancelled: object, close: () => Promise<void> }>} handles of the three runs */
export async function makeRuns(parts, say) {
  const { HoldfastClient } = require('../../dist/client/index.js');
  const { address, namespace, uiUrl } = parts.temporal;
  const client = await HoldfastClient.connect({ address, namespace, uiUrl });
  const engine = parts.lab.name;
  const demo = await client.resolveVm(engine, 'demo');
  const start = () => client.backupVm({ engine, vmId: demo.id, repository: parts.repository.name, ...slowly }, { vmName: demo.name });
  say('a backup that is cancelled');
  const cancelled = await start();
  await copiesSome(cancelled);
  await cancelled.cancel();
  await ended(cancelled);
  say('a backup that fails, and leaves its snapshot behind');
  const failed = await failedBackup(parts, client, await start());
  say('a backup that runs');
  const running = await start();
  await copiesSome(running);
  return { running, failed, cancelled, close: () => client.close() };
}

/** A second device with the first disk's serial comes up while the run is paused, so the copy fails for good; and the engine fails every merge. */
async function failedBackup(parts, client, handle) {
  const { devices } = await findAppliance(readConnection(parts.state));
  const { disks } = await copiesSome(handle);
  await handle.pause();
  await until('the run is paused', async () => (await handle.progress()).paused && !(await isCopying(client, handle)));
  const impostor = join(devices, `scsi-0QEMU_QEMU_HARDDISK_impostor-${disks[0].diskId}`);
  writeFileSync(impostor, '');
  await askLab(parts.lab.controlSocket, 'POST', '/faults', { kind: 'merge-failure', times: 1000 });
  try {
    await handle.resume();
    await ended(handle);
  } finally {
    rmSync(impostor, { force: true });
    await askLab(parts.lab.controlSocket, 'DELETE', '/faults');
  }
  return handle;
}

async function isCopying(client, { workflowId }) {
  const { raw } = await client.temporal.workflow.getHandle(workflowId).describe();
  return raw.pendingActivities.some(({ activityType }) => activityType.name === 'backupDisk');
}

/** Every disk has begun, and some rate is told. */
const copiesSome = (handle) => until('every disk is being copied', async () => {
  const progress = await handle.progress();
  return progress.phase === 'copy' && progress.disks.every(({ positionBytes }) => positionBytes > 0) && progress.disks.some(({ bytesPerSecond }) => bytesPerSecond > 0) && progress;
});

/** How it ended is what the pages must tell. */
const ended = (handle) => handle.result().catch(() => undefined);
