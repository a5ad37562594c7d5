// The daemon's control socket: tickets in, tickets out. HTTP over a unix socket, in the daemon's own words.
import http from 'node:http';
import { z } from 'zod';
import type { Ticket, TicketState } from '../backup-port';
import { HostError } from '../port';

const answerLimitMs = 30_000;
const stateSchema = z.object({ active: z.boolean(), canceled: z.boolean(), idle_time: z.number(), transferred: z.number().nullish() });

interface Answer {
  readonly status: number;
  readonly text: string;
}

export class ControlClient {
  constructor(private readonly socketPath: string) {}

  async add(ticket: Ticket): Promise<void> {
    const { uuid, ops, url, sparse, dirty } = ticket;
    await this.expect(200, 'PUT', uuid, {
      ...{ uuid, ops, url, sparse, dirty },
      ...{ transfer_id: ticket.transferId, size: ticket.sizeBytes, timeout: ticket.timeoutSeconds, inactivity_timeout: ticket.inactivityTimeoutSeconds },
      ...(ticket.filename === undefined ? {} : { filename: ticket.filename }),
    });
  }

  async state(uuid: string): Promise<TicketState | undefined> {
    const { status, text } = await this.ask('GET', uuid);
    if (status === 404) return undefined;
    if (status !== 200) throw refused('GET', uuid, status, text);
    const { active, canceled, idle_time: idleSeconds, transferred } = stateSchema.parse(JSON.parse(text));
    return { active, canceled, idleSeconds, ...(typeof transferred === 'number' ? { transferredBytes: transferred } : {}) };
  }

  async extend(uuid: string, timeoutSeconds: number): Promise<void> {
    await this.expect(200, 'PATCH', uuid, { timeout: timeoutSeconds });
  }

  async remove(uuid: string): Promise<void> {
    const { status, text } = await this.ask('DELETE', uuid);
    if (status === 409) throw new HostError('ticket-busy', `ticket ${uuid} cannot be removed while a request uses it: ${text}`);
    if (status !== 204 && status !== 404) throw refused('DELETE', uuid, status, text);
  }

  private async expect(expected: number, method: string, uuid: string, body: object): Promise<void> {
    const { status, text } = await this.ask(method, uuid, body);
    if (status !== expected) throw refused(method, uuid, status, text);
  }

  private ask(method: string, uuid: string, body?: object): Promise<Answer> {
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    return new Promise<Answer>((resolve, reject) => {
      const request = http.request(
        { socketPath: this.socketPath, method, path: `/tickets/${uuid}`, agent: false, timeout: answerLimitMs, headers: payload ? { 'content-type': 'application/json', 'content-length': payload.length } : {} },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text: text.trim() }));
          response.on('error', reject);
        },
      );
      request.on('timeout', () => request.destroy(new Error(`no answer within ${answerLimitMs / 1000} s`)));
      request.on('error', reject);
      request.end(payload);
    }).catch((error: unknown) => {
      throw new HostError('imageio-unavailable', `the imageio daemon does not answer on ${this.socketPath}: ${String(error)}`);
    });
  }
}

function refused(method: string, uuid: string, status: number, text: string): HostError {
  return new HostError('imageio-unavailable', `the imageio daemon answered ${status} to ${method} of ticket ${uuid}: ${text}`);
}
