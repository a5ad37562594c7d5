// What image transfers leave on the lab's host: tickets of its data daemon, which cannot be listed (its log names those that were added, its control
// socket says which are still there), and the exports that were served. Paths are those of lab/host/README.md.
import { open, readFile, stat } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import type { FoundLeftover } from './finding';
import { listNames } from './lab-files';

interface Told {
  readBytes: number;
  /** Transfers by their tickets: added, and not seen to be gone. */
  readonly tickets: Map<string, string>;
}

/** By log: it only grows. */
const toldBy = new Map<string, Told>();
const added = /\[tickets\] .*\bADD transfer=\{(.*)\}/g;
const word = (text: string, name: string): string => new RegExp(`'${name}': '([^']*)'`).exec(text)?.[1] ?? '';

export async function lookAtHostData(labState: string): Promise<readonly FoundLeftover[]> {
  const exports = (await listNames(path.join(labState, 'exports'))).map((name): FoundLeftover => ({ where: 'directory', what: 'export', object: path.join(labState, 'exports', name), detail: `image transfer ${name} is still served` }));
  return [...exports, ...(await lookAtTickets(path.join(labState, 'imageio')))];
}

async function lookAtTickets(directory: string): Promise<readonly FoundLeftover[]> {
  const socket = /^socket = (.*\.control)$/m.exec(await readFile(path.join(directory, 'conf.d', 'lab.conf'), 'utf8').catch(() => ''))?.[1];
  if (socket === undefined) return [];
  const told = await toldIn(path.join(directory, 'daemon.log'));
  const found: FoundLeftover[] = [];
  for (const [ticket, transfer] of told.tickets) {
    if (await isThere(socket, ticket)) found.push({ where: 'daemon', what: 'ticket', object: ticket, detail: `the data daemon has a ticket of image transfer ${transfer}` });
    else told.tickets.delete(ticket);
  }
  return found;
}

async function toldIn(log: string): Promise<Told> {
  const told = toldBy.get(log) ?? { readBytes: 0, tickets: new Map<string, string>() };
  toldBy.set(log, told);
  const size = await stat(log).then((of) => of.size, () => 0);
  if (size <= told.readBytes) return told;
  const file = await open(log);
  try {
    const bytes = Buffer.alloc(size - told.readBytes);
    await file.read(bytes, 0, bytes.length, told.readBytes);
    // A line that is being written is read when it is whole.
    const whole = bytes.subarray(0, bytes.lastIndexOf('\n') + 1);
    told.readBytes += whole.length;
    for (const [, ticket = ''] of whole.toString('utf8').matchAll(added)) told.tickets.set(word(ticket, 'uuid'), word(ticket, 'transfer_id'));
  } finally {
    await file.close();
  }
  return told;
}

/** A daemon that does not answer is being started again, without its tickets. */
function isThere(socketPath: string, ticket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request({ socketPath, path: `/tickets/${ticket}`, timeout: 10_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    sent.on('timeout', () => sent.destroy());
    sent.on('error', () => resolve(false));
    sent.end();
  });
}
