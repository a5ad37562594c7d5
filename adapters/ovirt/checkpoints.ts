// Checkpoints of a VM: from where the engine's change tracking can start. One chain per VM, shared by all backup products.
import { type Connection, pathOf, unlessAbsent } from './connection';
import type { Checkpoint, Engine } from './port';
import { checkpointSchema, listOf, parseAnswer, vmBackupDiskSchema } from './wire';

type CheckpointCalls = Pick<Engine, 'listCheckpoints' | 'listCheckpointDiskIds' | 'removeCheckpoint'>;

const checkpointAnswer = checkpointSchema.transform(
  (checkpoint): Checkpoint => ({ id: checkpoint.id, parentId: checkpoint.parent_id ?? null, state: checkpoint.state, createdAt: checkpoint.creation_date ?? new Date(0).toISOString() }),
);

export function checkpointCalls(engine: Connection): CheckpointCalls {
  return {
    async listCheckpoints(vmId) {
      const what = `listing the checkpoints of VM ${vmId}`;
      const { body } = await engine.call({ method: 'GET', path: pathOf('vms', vmId, 'checkpoints'), what });
      return parseAnswer(listOf('checkpoint', checkpointAnswer), body, what, engine.engineName);
    },
    async listCheckpointDiskIds(vmId, checkpointId) {
      const what = `listing the disks of checkpoint ${checkpointId} of VM ${vmId}`;
      const answer = await unlessAbsent(engine.call({ method: 'GET', path: pathOf('vms', vmId, 'checkpoints', checkpointId, 'disks'), what }));
      return answer && parseAnswer(listOf('disk', vmBackupDiskSchema), answer.body, what, engine.engineName).map(({ id }) => id);
    },
    async removeCheckpoint(vmId, checkpointId) {
      await unlessAbsent(engine.call({ method: 'DELETE', path: pathOf('vms', vmId, 'checkpoints', checkpointId), what: `removing checkpoint ${checkpointId} of VM ${vmId}` }));
    },
  };
}
