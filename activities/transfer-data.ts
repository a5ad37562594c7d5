// Opens what an image transfer gives access to. The URL with the ticket is read from the engine here, used, and forgotten: it is a secret.
import { openImageioReader, openImageioWriter, type ImageioOptions, type ImageioReader, type ImageioWriter } from '../adapters/imageio';
import type { Engine, ImageTransfer } from '../adapters/ovirt/port';
import { HoldfastError } from '../domain/failures';
import type { MoverCopyDependencies } from './dependencies';

export interface DataOfTransfer {
  readonly engine: string;
  readonly transferId: string;
  /** The disk in the engine; undefined: whichever it is. */
  readonly diskId: string | undefined;
  readonly virtualBytes: number;
  /** Whose QEMU serves the data: of a live VM backup. */
  readonly servedByVmId?: string | undefined;
  readonly signal: AbortSignal;
}

const longestKeepAliveMs = 20_000;

type Dependencies = Pick<MoverCopyDependencies, 'engineOf' | 'imageioOf'>;

export async function openTransferReader(dependencies: Dependencies, of: DataOfTransfer): Promise<ImageioReader> {
  return openImageioReader(await optionsOf(dependencies, of, ['download']));
}

/** `blank`: the disk reads as zeroes where nothing was written yet. */
export async function openTransferWriter(dependencies: Dependencies, of: DataOfTransfer, blank: boolean): Promise<ImageioWriter> {
  return openImageioWriter({ ...(await optionsOf(dependencies, of, ['upload'])), blank });
}

/** For reading, whatever it was begun for: an upload's ticket may be read as well. */
export async function openTransferWitness(dependencies: Dependencies, of: DataOfTransfer): Promise<Pick<ImageioReader, 'checksum' | 'close'>> {
  const { direction, ...options } = await optionsOf(dependencies, of, ['download', 'upload']);
  return direction === 'download' ? openImageioReader(options) : openImageioWriter(options);
}

async function optionsOf({ engineOf, imageioOf }: Dependencies, of: DataOfTransfer, directions: readonly ImageTransfer['direction'][]): Promise<ImageioOptions & Pick<ImageTransfer, 'direction'>> {
  const engine = engineOf(of.engine);
  if (of.servedByVmId !== undefined) await refuseDown(engine, of.servedByVmId);
  const { transferUrl, proxyUrl, diskId, direction } = await usable(engine, of);
  const name = `image transfer ${of.transferId}`;
  if (!directions.includes(direction)) throw new HoldfastError('device.foreign', `The ${name} is an ${direction}, so nothing is done with it.`, { transferId: of.transferId });
  if (of.diskId !== undefined && diskId !== of.diskId) throw new HoldfastError('device.foreign', `The ${name} is of disk ${diskId ?? 'nobody knows which'}, not of disk ${of.diskId}: nothing is read or written.`, { transferId: of.transferId, diskId: of.diskId });
  const { proxy, connections, inactivityTimeoutSeconds, caFile, insecure } = imageioOf(of.engine);
  return {
    direction,
    transferUrl,
    ...(proxyUrl === undefined || proxy === 'never' ? {} : { proxyUrl }),
    label: `disk ${diskId ?? of.diskId ?? ''} (${name})`,
    sizeBytes: of.virtualBytes,
    connections,
    ...(caFile === undefined ? {} : { caFile }),
    ...(insecure === undefined ? {} : { insecure }),
    keepAliveMs: Math.min(longestKeepAliveMs, (inactivityTimeoutSeconds * 1000) / 3),
    onKeepAlive: () => void engine.extendTransfer(of.transferId).catch(() => undefined),
    signal: of.signal,
  };
}

/** The engine gives tickets to its data all the same (TransferDiskImageCommand.initializeVds), and the host fails every request. */
async function refuseDown(engine: Engine, vmId: string): Promise<void> {
  const vm = await engine.getVm(vmId);
  if (vm !== undefined && vm.status !== 'down') return;
  throw new HoldfastError('backup.failed', `VM ${vm?.name ?? vmId} ${vm ? 'went down' : 'was removed'} during its live backup, and what it served is gone with it. Back it up again; quiesce best-effort or off takes a hybrid backup, which a VM may leave.`, { vmId });
}

/** What the engine has ended, paused or forgotten is the flow's to begin anew. */
async function usable(engine: Engine, { transferId }: DataOfTransfer): Promise<ImageTransfer & { readonly transferUrl: string }> {
  const transfer = await engine.getTransfer(transferId);
  if (transfer?.phase === 'transferring' && transfer.transferUrl !== undefined) return { ...transfer, transferUrl: transfer.transferUrl };
  throw new HoldfastError('imageio.ticket-gone', `The image transfer ${transferId} ${transfer ? `is ${transfer.phaseText}` : 'is gone from the engine'}: there is no ticket to its data. The engine has to give a new one.`, { transferId, phase: transfer?.phaseText });
}
