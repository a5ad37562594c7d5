// What only the lab can tell of its engine: locks and operations, which a real one shows as refusals of the next request.
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { z } from 'zod';
import type { FoundLeftover } from './finding';

const connectionSchema = z.object({ controlSocket: z.string() });
const stateSchema = z.object({
  locks: z.array(z.looseObject({ holder: z.string(), kind: z.string(), id: z.string() })),
  operations: z.array(z.object({ kind: z.string(), id: z.string() })),
});

export async function lookAtLabState(connectionFile: string): Promise<readonly FoundLeftover[]> {
  const { controlSocket } = connectionSchema.parse(JSON.parse(await readFile(connectionFile, 'utf8')));
  const { locks, operations } = stateSchema.parse(JSON.parse(await ask(controlSocket, '/state')));
  return [
    ...locks.map(({ holder, kind, id }): FoundLeftover => ({ where: 'engine', what: 'lock', object: id, detail: `"${holder}" holds ${kind} ${id}` })),
    ...operations.map(({ kind, id }): FoundLeftover => ({ where: 'engine', what: 'operation', object: id, detail: `the operation ${kind} has not ended` })),
  ];
}

function ask(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, timeout: 20_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => (response.statusCode === 200 ? resolve(text) : reject(new Error(`the outside look cannot read ${path} of the lab's control socket: HTTP ${response.statusCode ?? 0}`))));
      response.on('error', reject);
    });
    sent.on('timeout', () => sent.destroy(new Error('the lab\'s control socket does not answer')));
    sent.on('error', reject);
    sent.end();
  });
}
