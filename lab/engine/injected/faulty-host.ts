// The host as the engine sees it: the real one, with the injected faults between them. Also what parts an engine from its host at a
// restart: a retired host refuses everything, so that the old engine's unfinished work cannot meddle with the new engine's.
import type { BackupHost, ImageioDaemon } from '../../host/backup-port';
import { HostError, type Host, type MergeDisk, type VolumeRef } from '../../host/port';
import { StoreClosed } from '../state/store';
import { trackedBackupHost, trackedDaemon, type Tracked } from './faulty-backup-host';
import type { Hold } from './holds';
import type { ActiveFault, InjectedFaults } from './injected-faults';
import type { FaultOf } from './kinds';

export interface FaultyHost {
  readonly host: Host;
  readonly backups: BackupHost;
  readonly imageio: ImageioDaemon;
  readonly hold: Hold;
  /** From now on every call fails; resolves when those that are under way have ended. */
  readonly retire: () => Promise<void>;
}

export function faultyHost(
  inner: Host,
  data: { readonly backups: BackupHost; readonly imageio: ImageioDaemon },
  faults: InjectedFaults,
): FaultyHost {
  const retired = new AbortController();
  const underWay = new Set<Promise<unknown>>();
  const tracked: Tracked =
    (call) =>
    (...args) => {
      if (retired.signal.aborted) return Promise.reject(new StoreClosed('the engine was restarted'));
      const promise = call(...args);
      underWay.add(promise);
      const over = (): void => {
        underWay.delete(promise);
      };
      promise.then(over, over);
      return promise;
    };
  const held = async (active: ActiveFault | undefined, seconds: number | undefined): Promise<void> => {
    if (active === undefined) return;
    faults.fire(active);
    await either([active.released, retired.signal], seconds);
    retired.signal.throwIfAborted();
  };
  const host: Host = {
    start: tracked(() => inner.start()),
    close: tracked((options) => inner.close(options)),
    createDomain: tracked((domainId) => inner.createDomain(domainId)),
    domainSpace: tracked((domainId) => inner.domainSpace(domainId)),
    createVolume: tracked((volume) => inner.createVolume(volume)),
    shareVolume: tracked((volume, diskId) => inner.shareVolume(volume, diskId)),
    volumeInfo: tracked((volume) => inner.volumeInfo(volume)),
    removeVolume: tracked((volume) => inner.removeVolume(volume)),
    removeDisk: tracked((domainId, diskId) => inner.removeDisk(domainId, diskId)),
    damagedVolumes: tracked((volumes) => damagedVolumes(inner, faults, volumes)),
    startVm: tracked((spec) => inner.startVm(spec)),
    shutdownVm: tracked((vmId) => inner.shutdownVm(vmId)),
    stopVm: tracked((vmId) => inner.stopVm(vmId)),
    killVm: tracked((vmId) => inner.killVm(vmId)),
    vmStatus: (vmId) => inner.vmStatus(vmId),
    onVmEvent: (listener) => {
      inner.onVmEvent((event) => {
        if (!retired.signal.aborted) listener(event);
      });
    },
    freeze: tracked((vmId) => inner.freeze(vmId)),
    thaw: tracked((vmId) => inner.thaw(vmId)),
    guestExec: tracked((vmId, script, timeoutMs) => inner.guestExec(vmId, script, timeoutMs)),
    snapshot: tracked(async (vmId, disks) => {
      const slow = faults.ofKind('slow-snapshot').find(({ fault }) => fault.vmId === undefined || fault.vmId === vmId);
      await held(slow, slow?.fault.seconds);
      return inner.snapshot(vmId, disks);
    }),
    merge: tracked((vmId, disk, onProgress) =>
      merge(inner, faults, vmId, disk, (percent) => {
        // The merge goes on; its old engine, whom it would tell, remembers nothing any more.
        if (!retired.signal.aborted) onProgress?.(percent);
      }),
    ),
    plugDisk: tracked((vmId, disk) => inner.plugDisk(vmId, disk)),
    unplugDisk: tracked(async (vmId, diskId) => {
      const stuck = stuckUnplug(faults, vmId, diskId);
      await held(stuck, stuck?.fault.seconds);
      return inner.unplugDisk(vmId, diskId);
    }),
    devicesDirectory: (vmId) => inner.devicesDirectory(vmId),
  };
  const retire = async (): Promise<void> => {
    retired.abort(new StoreClosed('the engine was restarted'));
    await Promise.allSettled(underWay);
  };
  return { host, backups: trackedBackupHost(data.backups, tracked), imageio: trackedDaemon(data.imageio, tracked), hold: held, retire };
}

/** The fault that keeps this disk plugged, if there is one. */
export function stuckUnplug(faults: InjectedFaults, vmId: string, diskId: string): ActiveFault<FaultOf<'stuck-unplug'>> | undefined {
  return faults
    .ofKind('stuck-unplug')
    .find(({ fault }) => (fault.vmId === undefined || fault.vmId === vmId) && (fault.diskId === undefined || fault.diskId === diskId));
}

async function damagedVolumes(inner: Host, faults: InjectedFaults, volumes: readonly VolumeRef[]): Promise<readonly VolumeRef[]> {
  const illegal = volumes.filter((volume) => faults.isIllegal(volume));
  return [...illegal, ...(await inner.damagedVolumes(volumes.filter((volume) => !illegal.includes(volume))))];
}

async function merge(
  inner: Host,
  faults: InjectedFaults,
  vmId: string,
  disk: MergeDisk,
  onProgress: ((percent: number) => void) | undefined,
): Promise<void> {
  const failing = faults
    .ofKind('merge-failure')
    .find(({ fault }) => (fault.vmId === undefined || fault.vmId === vmId) && (fault.diskId === undefined || fault.diskId === disk.diskId));
  if (failing !== undefined) {
    faults.fire(failing);
    if (failing.fault.illegal) faults.markIllegal(failing, disk.top.volumeId);
    throw new HostError('job-failed', `merging disk ${disk.diskId} of VM ${vmId} fails because fault ${failing.id} says so`);
  }
  await inner.merge(vmId, disk, onProgress);
  faults.unmarkIllegal(disk.top.volumeId);
}

/** Until one of the signals or the time. Not AbortSignal.any: such a signal may be collected as garbage before it fires. */
function either(signals: readonly AbortSignal[], seconds: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = seconds === undefined ? undefined : setTimeout(end, seconds * 1000);
    for (const signal of signals) signal.addEventListener('abort', end, { once: true });
    if (signals.some((signal) => signal.aborted)) end();
  });
}
