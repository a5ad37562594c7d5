// Image transfers: the right to read or write a disk at its host's data daemon. What is done with the URL is adapters/imageio.
import { HoldfastError } from '../../domain/failures';
import { type Connection, pathOf, unlessAbsent } from './connection';
import type { Engine, ImageTransfer } from './port';
import { imageTransferSchema, listOf, parseAnswer, transferPhase } from './wire';

type ImageTransferCalls = Pick<Engine, 'createTransfer' | 'getTransfer' | 'listTransfers' | 'extendTransfer' | 'resumeTransfer' | 'finalizeTransfer' | 'cancelTransfer'>;

const transferAnswer = imageTransferSchema.transform(
  (transfer): ImageTransfer => ({
    id: transfer.id,
    phase: transferPhase.parse(transfer.phase),
    phaseText: transfer.phase,
    direction: transfer.direction,
    ...(transfer.image === undefined ? {} : { diskId: transfer.image.id }),
    ...(transfer.inactivity_timeout === undefined ? {} : { inactivityTimeoutSeconds: transfer.inactivity_timeout }),
    ...(transfer.transfer_url === undefined ? {} : { transferUrl: transfer.transfer_url }),
    ...(transfer.proxy_url === undefined ? {} : { proxyUrl: transfer.proxy_url }),
  }),
);

export function imageTransferCalls(engine: Connection): ImageTransferCalls {
  const ask = async (transferId: string, action: 'extend' | 'resume' | 'finalize' | 'cancel', what: string): Promise<void> => {
    await engine.call({ method: 'POST', path: pathOf('imagetransfers', transferId, action), body: {}, what: `${what} image transfer ${transferId}` });
  };
  return {
    async createTransfer({ diskId, direction, vmBackupId, inactivityTimeoutSeconds, timeoutPolicy, correlationId }) {
      const what = `starting the ${direction} of disk ${diskId}${vmBackupId === undefined ? '' : ` in backup ${vmBackupId}`}`;
      const body = {
        disk: { id: diskId },
        direction,
        // Raw: read and written through QEMU whatever the format on the storage is, with extents, and in parallel.
        format: 'raw',
        inactivity_timeout: String(inactivityTimeoutSeconds),
        timeout_policy: timeoutPolicy,
        ...(vmBackupId === undefined ? {} : { backup: { id: vmBackupId } }),
      };
      const answer = await engine.call({ method: 'POST', path: pathOf('imagetransfers'), body, headers: { 'correlation-id': correlationId }, what });
      return parseAnswer(transferAnswer, answer.body, what, engine.engineName);
    },
    async getTransfer(transferId) {
      const what = `reading image transfer ${transferId}`;
      const answer = await unlessAbsent(engine.call({ method: 'GET', path: pathOf('imagetransfers', transferId), what }));
      return answer && parseAnswer(transferAnswer, answer.body, what, engine.engineName);
    },
    async listTransfers() {
      const what = 'listing image transfers';
      const { body } = await engine.call({ method: 'GET', path: pathOf('imagetransfers'), what });
      return parseAnswer(listOf('image_transfer', transferAnswer), body, what, engine.engineName);
    },
    extendTransfer: (transferId) => ask(transferId, 'extend', 'extending'),
    async resumeTransfer(transferId) {
      try {
        await ask(transferId, 'resume', 'resuming');
      } catch (error) {
        if (!(error instanceof HoldfastError) || !/\bnot in a paused state\b/i.test(error.message)) throw error;
      }
    },
    finalizeTransfer: (transferId) => ask(transferId, 'finalize', 'finalizing'),
    cancelTransfer: (transferId) => ask(transferId, 'cancel', 'cancelling'),
  };
}
