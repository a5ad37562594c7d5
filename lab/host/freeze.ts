// Freezing the guest's file systems through its agent: by the host itself around one moment (best effort, or required), and as the engine's own request.
import { z } from 'zod';
import { AgentRefusal, type AgentTurn } from './agent-client';
import { HostError } from './port';
import { agentChardev } from './qemu-command';
import type { RunningVm } from './running-vm';
import { removeFile, writeJsonFile } from './state-file';
import { toHostError } from './tools';

const pingLimitMs = 5_000;
const freezeLimitMs = 8_000;
const thawLimitMs = 10_000;
const thawAttempts = 3;

/** True when the guest was frozen meanwhile. Thaws in every case, as vdsm does: a guest that its owner had frozen before cannot be frozen once more
 *  (a failure, where that is required) and is thawed all the same (vdsm: virt/jobs/snapshot.py, virt/backup.py). `required`: without a freeze of its
 *  own nothing is done (`freeze-failed`). */
export async function aroundFrozen(vm: RunningVm, { required }: { readonly required: boolean }, work: () => Promise<unknown>): Promise<boolean> {
  return vm.agent.turn(async (turn) => {
    const before = await fsfreezeStatus(turn, vm);
    if (required && before === 'unknown') throw new HostError('freeze-failed', `${vm.label} could not be frozen: its guest agent does not answer`);
    await writeJsonFile(vm.paths.frozenByHost, {});
    try {
      const frozen = before === 'thawed' && (await tryFreeze(turn, vm));
      if (required && !frozen) throw new HostError('freeze-failed', `${vm.label} could not be frozen: its guest agent refused, or it is frozen already`);
      await work();
      return frozen || before === 'frozen';
    } finally {
      if (before !== 'unknown') await thawAnyway(turn, vm);
      await removeFile(vm.paths.frozenByHost).catch(() => undefined); // the moment has passed whatever happens here
    }
  });
}

const chardevsSchema = z.array(z.object({ label: z.string(), 'frontend-open': z.boolean() }));

/** An agent that does not run has not opened its port: a host knows that without waiting for an answer. */
async function isAgentConnected(vm: RunningVm): Promise<boolean> {
  const chardevs = chardevsSchema.parse(await vm.qmp.execute('query-chardev'));
  return chardevs.find(({ label }) => label === agentChardev)?.['frontend-open'] ?? true;
}

async function fsfreezeStatus(turn: AgentTurn, vm: RunningVm): Promise<'thawed' | 'frozen' | 'unknown'> {
  try {
    if (!(await isAgentConnected(vm))) return 'unknown';
    return z.enum(['thawed', 'frozen']).parse(await turn.execute('guest-fsfreeze-status', {}, pingLimitMs));
  } catch {
    return 'unknown'; // no agent: most callers go on without a freeze
  }
}

async function tryFreeze(turn: AgentTurn, vm: RunningVm): Promise<boolean> {
  try {
    await turn.execute('guest-fsfreeze-freeze', {}, freezeLimitMs);
    return true;
  } catch (error) {
    vm.host.log.warn({ vmId: vm.vmId, error: String(error) }, `${vm.label} could not be frozen`);
    return false;
  }
}

async function thawAnyway(turn: AgentTurn, vm: RunningVm): Promise<void> {
  for (let attempt = 1; attempt <= thawAttempts; attempt += 1) {
    try {
      await turn.execute('guest-fsfreeze-thaw', {}, thawLimitMs);
      return;
    } catch (error) {
      vm.host.log.warn({ vmId: vm.vmId, attempt, error: String(error) }, `${vm.label} could not be thawed`);
    }
  }
}

/** The engine's own freeze and thaw: asked for, so a failure is an error. */
export async function freezeGuest(vm: RunningVm): Promise<{ readonly filesystems: number }> {
  if (!(await isAgentConnected(vm)) || !(await vm.agent.answers(pingLimitMs))) throw new HostError('agent-unavailable', `${vm.label}: the guest agent does not answer; nothing was frozen`);
  try {
    return { filesystems: z.number().parse(await vm.agent.execute('guest-fsfreeze-freeze', {}, freezeLimitMs)) };
  } catch (error) {
    await vm.agent.execute('guest-fsfreeze-thaw', {}, thawLimitMs).catch(() => undefined); // a freeze that came too late must not stay
    throw asFreezeFailure(error, vm);
  }
}

export async function thawGuest(vm: RunningVm): Promise<{ readonly filesystems: number }> {
  if (!(await isAgentConnected(vm))) throw new HostError('agent-unavailable', `${vm.label}: the guest agent does not answer; nothing was thawed`);
  try {
    return { filesystems: z.number().parse(await vm.agent.execute('guest-fsfreeze-thaw', {}, thawLimitMs)) };
  } catch (error) {
    throw asFreezeFailure(error, vm);
  }
}

function asFreezeFailure(error: unknown, vm: RunningVm): Error {
  return error instanceof AgentRefusal ? new HostError('freeze-failed', `${vm.label}: ${error.message}`) : toHostError(error, vm.label, 'agent-unavailable');
}
