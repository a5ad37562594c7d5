// What image transfers may leave on the lab's host, as the outside look sees it: tickets that the data daemon still takes, and exports.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { lookAtHostData } from './leftovers/host-data';

let labState: string;
let daemon: Server;
const tickets = new Set<string>();
const transfer = randomUUID();
const log = (): string => path.join(labState, 'imageio', 'daemon.log');
const line = (words: string): string => `2024-05-01 10:00:00,000 INFO    (Thread-7) [tickets] [local] ${words}\n`;
const addition = (ticket: string): string => line(`ADD transfer={'uuid': '${ticket}', 'ops': ['read'], 'url': 'nbd:unix:/tmp/x:exportname=y', 'sparse': True, 'transfer_id': '${transfer}', 'size': 1024}`);

beforeEach(async () => {
  labState = await mkdtemp(path.join(tmpdir(), 'hf-look-host-'));
  await mkdir(path.join(labState, 'imageio', 'conf.d'), { recursive: true });
  const socket = path.join(labState, 'imageio.control');
  await writeFile(path.join(labState, 'imageio', 'conf.d', 'lab.conf'), `[local]\nsocket = ${labState}/imageio.local\n\n[control]\ntransport = unix\nsocket = ${socket}\n`);
  daemon = createServer((asked, response) => void response.writeHead(tickets.has((asked.url ?? '').replace('/tickets/', '')) ? 200 : 404).end('{}')).listen(socket);
  await once(daemon, 'listening');
});

afterEach(async () => {
  tickets.clear();
  daemon.closeAllConnections();
  daemon.close();
  await rm(labState, { recursive: true, force: true });
});

test('a lab without a daemon, or with one that nobody used: nothing', async () => {
  expect(await lookAtHostData(labState)).toEqual([]);
  expect(await lookAtHostData(path.join(labState, 'nowhere'))).toEqual([]);
});

test('a ticket is left as long as the daemon has it, whatever its log says', async () => {
  const [ended, left] = [randomUUID(), randomUUID()];
  tickets.add(left);
  await writeFile(log(), addition(ended) + line(`REMOVE transfer=${transfer}`));
  expect(await lookAtHostData(labState)).toEqual([]);
  // Of a line that is still being written the rest comes later.
  await appendFile(log(), addition(left).slice(0, 90));
  expect(await lookAtHostData(labState)).toEqual([]);
  await appendFile(log(), addition(left).slice(90));
  const found = { where: 'daemon', what: 'ticket', object: left, detail: `the data daemon has a ticket of image transfer ${transfer}` };
  expect(await lookAtHostData(labState)).toEqual([found]);
  expect(await lookAtHostData(labState)).toEqual([found]);
  tickets.clear();
  expect(await lookAtHostData(labState)).toEqual([]);
});

test('an export that is still served', async () => {
  const directory = path.join(labState, 'exports', transfer);
  await mkdir(directory, { recursive: true });
  expect(await lookAtHostData(labState)).toEqual([{ where: 'directory', what: 'export', object: directory, detail: `image transfer ${transfer} is still served` }]);
});
