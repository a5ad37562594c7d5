// A client of the lab's control socket, as any program on the machine would write it.
import { request } from 'node:http';

export interface ControlReply {
  readonly status: number;
  readonly json: Record<string, unknown>;
}

export interface ListedFault {
  readonly id: string;
  readonly kind: string;
  readonly fired: number;
}

export class ControlClient {
  constructor(private readonly socketPath: string) {}

  ask(method: string, path: string, body?: object): Promise<ControlReply> {
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath: this.socketPath, method, path }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, json: JSON.parse(text) as Record<string, unknown> });
        });
      });
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async inject(fault: object): Promise<string> {
    const reply = await this.ask('POST', '/faults', fault);
    if (reply.status !== 201) throw new Error(`POST /faults: ${reply.status} ${JSON.stringify(reply.json)}`);
    return reply.json['id'] as string;
  }

  async list(): Promise<readonly ListedFault[]> {
    return (await this.ask('GET', '/faults')).json['faults'] as ListedFault[];
  }

  async fired(id: string): Promise<number> {
    return (await this.list()).find((fault) => fault.id === id)?.fired ?? 0;
  }

  async release(id: string): Promise<void> {
    const reply = await this.ask('DELETE', `/faults/${id}`);
    if (reply.status !== 200) throw new Error(`DELETE /faults/${id}: ${reply.status} ${JSON.stringify(reply.json)}`);
  }

  async state(): Promise<{ readonly lockedSnapshots: readonly object[] }> {
    return (await this.ask('GET', '/state')).json as unknown as { lockedSnapshots: object[] };
  }
}
