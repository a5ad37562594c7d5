// Snapshots of a VM: their state, their disks, the VM's configuration in them, creation and removal.
import { type Connection, pathOf, queryOf, unlessAbsent } from './connection';
import type { Engine, Snapshot } from './port';
import { configurationSchema, listOf, parseAnswer, snapshotDiskSchema, snapshotSchema } from './wire';

type SnapshotCalls = Pick<Engine, 'listSnapshots' | 'getSnapshot' | 'listSnapshotDisks' | 'getSnapshotConfiguration' | 'createSnapshot' | 'removeSnapshot'>;

const snapshotAnswer = snapshotSchema.transform(
  (snapshot): Snapshot => ({
    id: snapshot.id,
    description: snapshot.description,
    status: snapshot.snapshot_status,
    type: snapshot.snapshot_type,
    // The "Active VM" entry of some versions has none, and nobody asks for it.
    createdAt: snapshot.date ?? new Date(0).toISOString(),
  }),
);

export function snapshotCalls(engine: Connection): SnapshotCalls {
  return {
    async listSnapshots(vmId) {
      const what = `listing the snapshots of VM ${vmId}`;
      const { body } = await engine.call({ method: 'GET', path: pathOf('vms', vmId, 'snapshots'), what });
      return parseAnswer(listOf('snapshot', snapshotAnswer), body, what, engine.engineName);
    },
    async getSnapshot(vmId, snapshotId) {
      const what = `reading snapshot ${snapshotId} of VM ${vmId}`;
      const answer = await unlessAbsent(engine.call({ method: 'GET', path: pathOf('vms', vmId, 'snapshots', snapshotId), what }));
      return answer && parseAnswer(snapshotAnswer, answer.body, what, engine.engineName);
    },
    async listSnapshotDisks(vmId, snapshotId) {
      const what = `listing the disks of snapshot ${snapshotId} of VM ${vmId}`;
      const { body } = await engine.call({ method: 'GET', path: pathOf('vms', vmId, 'snapshots', snapshotId, 'disks'), what });
      return parseAnswer(listOf('disk', snapshotDiskSchema), body, what, engine.engineName).map((disk) => ({ diskId: disk.id, imageId: disk.image_id, status: disk.status }));
    },
    async getSnapshotConfiguration(vmId, snapshotId) {
      const what = `reading the configuration in snapshot ${snapshotId} of VM ${vmId}`;
      // Either the parameter or the header is enough for a current engine; older ones know only the header.
      const path = pathOf('vms', vmId, 'snapshots', snapshotId) + queryOf({ all_content: 'true' });
      const { body } = await engine.call({ method: 'GET', path, headers: { 'all-content': 'true' }, what });
      return parseAnswer(configurationSchema, body, what, engine.engineName).initialization.configuration.data;
    },
    async createSnapshot({ vmId, description, diskIds }) {
      const what = `creating snapshot "${description}" of VM ${vmId}`;
      // Memory is saved unless told otherwise, and the VM pauses while it is. Disks are always named: shareable ones and LUNs
      // would be left out silently, and new ones taken in.
      const disks = diskIds.map((id) => ({ disk: { id } }));
      const body = { description, persist_memorystate: 'false', disk_attachments: { disk_attachment: disks } };
      const answer = await engine.call({ method: 'POST', path: pathOf('vms', vmId, 'snapshots'), body, what });
      return { snapshot: parseAnswer(snapshotAnswer, answer.body, what, engine.engineName), correlationId: answer.correlationId };
    },
    async removeSnapshot(vmId, snapshotId) {
      const what = `removing snapshot ${snapshotId} of VM ${vmId}`;
      const { correlationId } = await engine.call({ method: 'DELETE', path: pathOf('vms', vmId, 'snapshots', snapshotId), what });
      return { correlationId };
    },
  };
}
