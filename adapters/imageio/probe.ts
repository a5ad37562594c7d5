// Looks whether a host's data daemon can be reached, is trusted and is one. It takes no ticket and changes nothing: the daemon tells anybody
// what it can do for images at large.
import { isIP } from 'node:net';
import { TLSSocket } from 'node:tls';
import { buildConnector, Client } from 'undici';
import { z } from 'zod';
import type { DaemonAddress, DaemonFacts } from '../../domain/doctor/judge-hosts';
import { causeCode, causeMessage, certificateCodes } from '../network-causes';
import { readCa } from './channel';

export interface ProbeOptions extends Pick<DaemonAddress, 'address' | 'port'> {
  /** PEM file of the CA that signed the hosts' certificates: the engine's. The system's CAs otherwise. */
  readonly caFile?: string | undefined;
  /** Accept any certificate. */
  readonly insecure?: boolean | undefined;
  /** From the first packet to the end of the answer. */
  readonly timeoutMs?: number;
}

const defaultTimeoutMs = 5_000;
const longestAnswerBytes = 64 * 1024;
/** `*` is every ticket: asked for that, the daemon lists its features. */
const everyTicket = '/images/*';
const answerSchema = z.object({ features: z.array(z.string()) });

export async function probeDaemon({ address, port, caFile, insecure, timeoutMs = defaultTimeoutMs }: ProbeOptions): Promise<DaemonFacts> {
  const connect = buildConnector({ rejectUnauthorized: insecure !== true, timeout: timeoutMs, ...readCa(caFile, `the data daemon at ${address}`) });
  const seen: { certificateExpiresAt?: string } = {};
  const client = new Client(`https://${isIP(address) === 6 ? `[${address}]` : address}:${port}`, {
    maxResponseSize: longestAnswerBytes,
    connect: (target, done) => {
      connect(target, (...outcome) => {
        const [, socket] = outcome;
        if (socket instanceof TLSSocket) seen.certificateExpiresAt = new Date(socket.getPeerCertificate().valid_to).toISOString();
        done(...outcome);
      });
    },
  });
  try {
    const { statusCode, body } = await client.request({ method: 'OPTIONS', path: everyTicket, signal: AbortSignal.timeout(timeoutMs) });
    const text = await body.text();
    if (statusCode === 200 && isDaemons(text)) return { outcome: 'answers', certificateExpiresAt: seen.certificateExpiresAt ?? '' };
    return { outcome: 'no-daemon', reason: `it answers HTTP ${statusCode}, and not as ovirt-imageio does` };
  } catch (error) {
    return failure(error, { connected: seen.certificateExpiresAt !== undefined, timeoutMs });
  } finally {
    await client.destroy();
  }
}

function isDaemons(text: string): boolean {
  try {
    return answerSchema.safeParse(JSON.parse(text)).success;
  } catch {
    return false;
  }
}

const timeouts = /^(?:TimeoutError|UND_ERR_\w*TIMEOUT|ETIMEDOUT)$/;
/** OpenSSL met something that is not TLS, or a TLS that it does not speak. */
const notTls = /^(?:EPROTO|ERR_SSL_\w+)$/;

function failure(error: unknown, { connected, timeoutMs }: { readonly connected: boolean; readonly timeoutMs: number }): DaemonFacts {
  const code = causeCode(error);
  const reason = `${causeMessage(error)} (${code})`;
  if (certificateCodes.test(code)) return { outcome: 'untrusted', reason };
  if (timeouts.test(code)) return { outcome: connected ? 'silent' : 'unreachable', reason: `no ${connected ? 'answer' : 'connection'} within ${timeoutMs / 1000} s` };
  if (notTls.test(code)) return { outcome: 'no-daemon', reason: `it does not speak TLS (${code})` };
  return { outcome: connected ? 'no-daemon' : 'unreachable', reason };
}
