// Notices a QEMU that lives but does not answer (stopped, or stuck in I/O) and the moment it answers again. Nothing is done about it:
// whether to kill it is the engine's decision, as in oVirt.
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { RunningVm } from './running-vm';

const everyMs = 5_000;
const answerLimitMs = 10_000;
const statusSchema = z.object({ status: z.string() });

export async function watchHeartbeat(vm: RunningVm): Promise<void> {
  while (await nextBeat(vm.released.signal)) {
    try {
      const { status } = statusSchema.parse(await vm.qmp.execute('query-status', {}, answerLimitMs));
      if (vm.status === 'not_responding') vm.statusFrom(status);
    } catch {
      if (vm.qmp.isOpen) vm.setStatus('not_responding', `qemu did not answer within ${answerLimitMs / 1000} s`);
    }
  }
}

/** False once the host has let go of the VM. */
async function nextBeat(signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(everyMs, undefined, { signal, ref: false });
    return true;
  } catch {
    return false;
  }
}
