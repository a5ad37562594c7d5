// POST /vms/{id}/<action>. Faults of actions are nested in `<action>`.
import { needVm, type Context } from '../context';
import { commitPreview, undoPreview } from '../commands/end-preview';
import { previewSnapshot } from '../commands/preview-snapshot';
import { freezeOrThaw, shutdownVm, startVm, stopVm } from '../commands/run-vm';
import { incomplete } from '../faults';
import { bodyId, done, param, type Call, type Route } from '../http/call';

export function vmActionRoutes(context: Context): Route[] {
  const action = (name: string, act: (vmId: string, call: Call) => unknown, accepts: readonly string[] = []): Route => ({
    method: 'POST',
    path: `/vms/:vm/${name}`,
    action: true,
    query: ['async'],
    body: { type: 'action', accepts: ['async', ...accepts] },
    handle: async (call) => {
      await act(needVm(context, param(call, 'vm')).id, call);
      return done();
    },
  });
  return [
    action('start', (vmId, call) => startVm(context, vmId, call.actor)),
    action('stop', (vmId, call) => stopVm(context, vmId, call.actor, call.body.flag('force')), ['force']),
    action('shutdown', (vmId, call) => shutdownVm(context, vmId, call.actor, call.body.flag('force')), ['force']),
    action('freezefilesystems', (vmId, call) => freezeOrThaw(context, vmId, 'freeze', call.actor)),
    action('thawfilesystems', (vmId, call) => freezeOrThaw(context, vmId, 'thaw', call.actor)),
    action(
      'previewsnapshot',
      (vmId, call) => {
        const snapshotId = bodyId(call, 'snapshot.id');
        if (snapshotId === undefined) throw incomplete('Action', ['snapshot.id'], 'previewSnapshot');
        return previewSnapshot(context, vmId, snapshotId, call.actor);
      },
      ['snapshot.id'],
    ),
    action('commitsnapshot', (vmId, call) => commitPreview(context, vmId, call.actor)),
    action('undosnapshot', (vmId, call) => undoPreview(context, vmId, call.actor)),
  ];
}
