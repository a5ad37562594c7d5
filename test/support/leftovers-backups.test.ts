// What backups by image transfers may leave in the engine, as the outside look sees it: one case each, and exactly its finding.
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findLeftovers } from './leftovers';
import { makeCertificate, rows, setStage, type Certificate, type Stage } from './leftovers-stage';

let tls: Certificate;
let tlsDirectory: string;
let stage: Stage;
beforeAll(async () => {
  tlsDirectory = await mkdtemp(path.join(tmpdir(), 'hf-look-tls-'));
  tls = await makeCertificate(tlsDirectory);
});
afterAll(() => rm(tlsDirectory, { recursive: true, force: true }));
beforeEach(async () => {
  stage = await setStage(tls);
});
afterEach(() => stage.remove());

interface Case {
  readonly what: string;
  /** Stages the leftover and returns its object. */
  readonly leave: () => Promise<string> | string;
}

const now = '2024-05-01T10:00:00.000Z';

/** A sealed backup of the demo; returns its checkpoint. */
async function addBackup(kind: string, createdAt: string): Promise<string> {
  const checkpoint = randomUUID();
  const manifest = { method: 'transfer', kind, vm: { id: stage.ids.demo }, checkpoint: { id: checkpoint }, vmBackup: { createdAt } };
  const directory = path.join(stage.repository, 'vms', stage.ids.demo, checkpoint);
  await mkdir(directory);
  await writeFile(path.join(directory, 'manifest.json'), JSON.stringify(manifest));
  addCheckpoint('Holdfast backup x', checkpoint);
  return checkpoint;
}

function addCheckpoint(description: string, id: string = randomUUID()): string {
  rows(stage.world, `/vms/${stage.ids.demo}/checkpoints`, 'checkpoint').push({ id, description, state: 'created' });
  return id;
}

function addAutoSnapshot(): string {
  const id = randomUUID();
  rows(stage.world, `/vms/${stage.ids.demo}/snapshots`, 'snapshot').push({ id, description: 'Auto-generated for Backup VM', snapshot_status: 'ok', snapshot_type: 'regular' });
  stage.world.set(`/vms/${stage.ids.demo}/snapshots/${id}/disks`, {});
  return id;
}

const cases: readonly Case[] = [
  ...['ready', 'finalizing'].map((phase): Case => ({
    what: 'vm-backup',
    leave: () => {
      const id = randomUUID();
      rows(stage.world, `/vms/${stage.ids.demo}/backups`, 'backup').push({ id, phase }, { id: randomUUID(), phase: 'succeeded' });
      return id;
    },
  })),
  { what: 'auto-snapshot', leave: addAutoSnapshot },
  {
    what: 'transfer',
    leave: () => {
      const id = randomUUID();
      rows(stage.world, '/imagetransfers', 'image_transfer').push({ id, phase: 'paused_system', direction: 'upload' });
      return id;
    },
  },
  {
    what: 'scratch-disk',
    leave: () => {
      const id = randomUUID();
      rows(stage.world, '/disks', 'disk').push({ id, alias: 'VM demo backup x scratch disk', status: 'ok', content_type: 'backup_scratch' });
      return id;
    },
  },
  { what: 'checkpoint', leave: () => addCheckpoint('Holdfast backup of nothing') },
  {
    what: 'checkpoint',
    leave: async () => {
      await addBackup('full', now);
      const between = await addBackup('incremental', now.replace('10', '11'));
      await addBackup('incremental', now.replace('10', '12'));
      addCheckpoint('another product');
      return between;
    },
  },
  {
    what: 'lock',
    leave: () => {
      stage.labHolds.locks.push({ holder: 'backup', kind: 'DISK', id: stage.ids.disk });
      return stage.ids.disk;
    },
  },
  {
    what: 'operation',
    leave: () => {
      stage.labHolds.operations.push({ kind: 'vm-backup', id: stage.ids.demo });
      return stage.ids.demo;
    },
  },
];

test.each(cases)('engine: $what', async ({ what, leave }) => {
  const object = await leave();
  expect(await findLeftovers(stage.options)).toEqual([{ where: 'engine', what, object, detail: expect.stringMatching(/\S/) as string }]);
});

test('what the next backups go on from is no leftover, nor is another product\'s', async () => {
  await addBackup('full', now);
  await addBackup('incremental', now.replace('10', '12'));
  addCheckpoint('another product');
  expect(await findLeftovers(stage.options)).toEqual([]);
});
