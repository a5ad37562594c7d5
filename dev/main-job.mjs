// The main job of `npm start`: back up the running VM `demo` through the appliance while its guest keeps writing, forget the catalog's backups
// and rebuild them from the manifests, restore as `demo-restored`, and prove it from inside the guest. It uses Holdfast only as a
// client does; everything else is done as a user of the lab.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import pg from 'pg';
import { checkImages } from './main-job/images.mjs';
import { labUser } from './main-job/lab-user.mjs';
import { dataDirectories, laterFiles, markerSums, startWriter, stopWriter, writeLater, writeMarkers, writtenRounds } from './main-job/markers.mjs';

const require = createRequire(import.meta.url);
const restoredName = 'demo-restored';
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const afterSnapshot = ['configuration', 'attach', 'copy', 'seal', 'cleanup', 'done'];

/** Prints each phase once, and every disk's way through the copy. */
function phasePrinter(say, onPhase = () => {}) {
  let shown = '';
  return (progress) => {
    onPhase(progress.phase);
    const disks = progress.disks.map((disk) => `${disk.alias} ${disk.state}`).join(', ');
    const line = `  ${progress.phase}${['copy', 'prove'].includes(progress.phase) ? `: ${disks}` : ''}`;
    if (line !== shown) say(line);
    shown = line;
  };
}

async function backUp({ client, lab, demo, directories, say, engine, repository }) {
  say('backing up demo: snapshot, attach to the appliance, copy, seal, detach, merge');
  const handle = await client.backupVm({ engine, vmId: demo.id, repository }, { vmName: demo.name });
  let later;
  const print = phasePrinter(say, (phase) => {
    // The snapshot is taken: whatever is written from now on must not be in the backup.
    if (!later && afterSnapshot.includes(phase)) later = writeLater(lab, demo.id, directories);
  });
  await handle.watch(print, { intervalMs: 100 });
  const result = await handle.result();
  await (later ?? writeLater(lab, demo.id, directories));
  const { backup } = result;
  say(`backup ${backup.backupId} is sealed: ${mib(backup.dataBytes)} of data in ${mib(backup.virtualBytes)} of disks, ${mib(backup.imageBytes)} in the repository, ${mib(result.bytesPerSecond)}/s, consistency ${backup.consistency} (${result.consistencyEvidence})`);
  for (const warning of result.warnings) say(`  warning: ${warning}`);
  return result;
}

async function rebuildCatalog({ client, parts, backupId, say, engine, repository }) {
  const database = new pg.Client({ connectionString: readFileSync(parts.catalogUrlFile, 'utf8').trim() });
  await database.connect();
  try {
    await database.query('DELETE FROM holdfast.backups');
  } finally {
    await database.end();
  }
  const forgotten = await client.listBackups({ engine });
  if (forgotten.backups.length !== 0) throw new Error('the catalog still lists backups although its rows were deleted');
  const rebuilt = await client.rebuildCatalog({ repository });
  const { backups } = await client.listBackups({ engine });
  if (!backups.some((backup) => backup.backupId === backupId)) throw new Error(`the rebuilt catalog does not list backup ${backupId}`);
  say(`the catalog's backups were deleted and rebuilt from the manifests: ${rebuilt.indexed} indexed, ${rebuilt.unreadable.length} unreadable`);
}

async function restore({ client, backup, say, engine, repository }) {
  say(`restoring it as ${restoredName}, from nothing but the repository`);
  const handle = await client.restoreVm({ engine, repository, backupId: backup.backupId, name: restoredName, start: true });
  await handle.watch(phasePrinter(say), { intervalMs: 100 });
  const result = await handle.result();
  for (const disk of result.disks) {
    const wanted = backup.disks.find((each) => each.diskId === disk.sourceDiskId)?.root;
    if (disk.root !== wanted) throw new Error(`disk ${disk.alias} was re-read from the target with digest ${disk.root} instead of ${wanted}`);
  }
  say(`restored ${result.disks.length} disks at ${mib(result.bytesPerSecond)}/s; re-read from the targets, every digest equals the manifest's`);
  return result;
}

async function proveFromInside({ lab, vmId, sums, say }) {
  const found = await markerSums(lab, vmId);
  if (found.join('\n') !== sums.join('\n')) throw new Error(`the restored guest's marker files differ:\n${found.filter((line) => !sums.includes(line)).join('\n')}`);
  const later = await laterFiles(lab, vmId);
  if (later !== '') throw new Error(`the restored guest has files that were written after the snapshot:\n${later}`);
  say(`inside ${restoredName}: ${sums.length} marker files (64 MiB) with equal checksums, nothing that was written later`);
}

/** @param {{ parts: object, state: string, env: object, say: (line: string) => void }} context */
export async function mainJob({ parts, state, env, say }) {
  const { HoldfastClient } = require('../dist/client/index.js');
  const { expectNothingLeft } = require('../dist/test/support/leftovers.js');
  const engine = parts.lab.name;
  const repository = parts.repository.name;
  const lab = labUser(parts.lab.connectionFile);
  const client = await HoldfastClient.connect({ address: parts.temporal.address, namespace: parts.temporal.namespace, uiUrl: parts.temporal.uiUrl });
  try {
    const earlier = await lab.findVm(restoredName);
    if (earlier) {
      say(`removing ${restoredName} of an earlier start`);
      await lab.removeWithDisks(earlier.id);
    }
    const demo = await client.resolveVm(engine, 'demo');
    const appliance = await client.resolveVm(engine, 'appliance');
    for (const vm of [demo, appliance]) await lab.bring(vm.id, 'up');
    const directories = await dataDirectories(lab, demo.id);
    say(`demo is up; writing 64 MiB of marker files to ${directories.join(' and ')}`);
    const sums = await writeMarkers(lab, demo.id, directories);
    await startWriter(lab, demo.id, directories);
    const roundsBefore = await writtenRounds(lab, demo.id);
    const { backup, runId } = await backUp({ client, lab, demo, directories, say, engine, repository });
    const rounds = (await writtenRounds(lab, demo.id)) - roundsBefore;
    if (rounds < 1) throw new Error('the guest did not write while it was backed up, so this proves nothing');
    say(`the guest wrote ${rounds} rounds of files meanwhile`);
    await stopWriter(lab, demo.id);

    const manifest = await checkImages(join(parts.repository.path, 'vms', demo.id, backup.backupId), env);
    say(`qemu-img alone: ${manifest.disks.length} images pass the check and convert to the same bytes; transport ${manifest.disks.map((disk) => disk.transport).join(', ')}`);
    await rebuildCatalog({ client, parts, backupId: backup.backupId, say, engine, repository });
    say('stopping demo');
    await lab.bring(demo.id, 'down');
    const restored = await restore({ client, backup, say, engine, repository });
    await proveFromInside({ lab, vmId: restored.vmId, sums, say });
    await expectNothingLeft({
      labState: join(state, 'lab'), connectionFile: parts.lab.connectionFile, repositories: [parts.repository.path],
      applianceIds: [appliance.id], keptVmIds: [restored.vmId], keptDiskIds: restored.disks.map((disk) => disk.diskId), withinMs: 5000,
    });
    say(`looked from outside (engine, QMP, processes, mounts, sockets, directories): nothing is left of run ${runId} nor of ${restored.runId}`);
    say(`Temporal UI: ${parts.temporal.uiUrl}`);
  } finally {
    await client.close();
  }
}
