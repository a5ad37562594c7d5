// The lab's own control port: JSON over HTTP on a unix socket. Not part of oVirt: what a real engine cannot do (run a
// script in a guest, expire all tokens at once) and what a test wants to look at.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { chmod, rm } from 'node:fs/promises';
import { z } from 'zod';
import { HostError } from '../host/port';
import type { Engine } from '../engine';
import { ageEvents } from '../engine/audit-log';
import { HttpFault } from '../engine/faults';
import { isFinal, isUnfinished } from '../engine/state/backup-model';
import { faultSchema } from '../engine/injected/kinds';
import { inject, release } from '../engine/injected/sudden';

export interface ControlServer {
  readonly close: () => Promise<void>;
}

const guestExec = z.strictObject({ script: z.string().min(1), timeoutMs: z.number().int().positive().optional() });

const clock = z.strictObject({ advanceSeconds: z.number().positive() });
const settings = z.strictObject({ detachWipesTracking: z.boolean(), vmsBelow47: z.array(z.string()), restartFailsNamedBackups: z.boolean(), auditLogAgingDays: z.number().positive() }).partial();

type Reply = { readonly status: number; readonly json: object };

export async function serveControl(socketPath: string, engine: Engine): Promise<ControlServer> {
  await rm(socketPath, { force: true });
  const server = createServer((request, response) => {
    void handle(request, response, engine);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  await chmod(socketPath, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

async function handle(request: IncomingMessage, response: ServerResponse, engine: Engine): Promise<void> {
  const reply = await answer(request, engine).catch((error: unknown): Reply => failure(error));
  response.writeHead(reply.status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(reply.json));
}

function failure(error: unknown): Reply {
  if (error instanceof z.ZodError || error instanceof SyntaxError) return { status: 400, json: { error: error.message } };
  if (error instanceof HttpFault) return { status: error.status, json: { error: error.message } };
  if (error instanceof HostError) return { status: 409, json: { code: error.code, error: error.message } };
  return { status: 500, json: { error: String(error) } };
}

async function answer(request: IncomingMessage, engine: Engine): Promise<Reply> {
  const { method, url = '' } = request;
  const exec = /^\/vms\/([^/]+)\/guest-exec$/.exec(url);
  if (method === 'POST' && exec !== null) {
    const { script, timeoutMs } = guestExec.parse(JSON.parse(await readText(request)));
    return { status: 200, json: await engine.context.host.guestExec(exec[1] ?? '', script, timeoutMs) };
  }
  if (method === 'GET' && url === '/state') return { status: 200, json: state(engine) };
  if (method === 'POST' && url === '/clock') {
    await engine.advanceClock(clock.parse(JSON.parse(await readText(request))).advanceSeconds);
    return { status: 200, json: {} };
  }
  if (method === 'PUT' && url === '/settings')
    return { status: 200, json: Object.assign(engine.context.settings, settings.parse(JSON.parse(await readText(request)))) };
  if (method === 'POST' && url === '/events/age') return { status: 200, json: { gone: await ageEvents(engine.context, 0) } };
  if (method === 'POST' && url === '/sessions/expire') return { status: 200, json: { expired: engine.sessions.expireAll() } };
  const fault = /^\/faults(?:\/([^/]+))?$/.exec(url);
  if (fault !== null) return answerFaults(request, engine, fault[1]);
  return { status: 404, json: { error: `the control port has no ${method ?? ''} ${url}` } };
}

async function answerFaults(request: IncomingMessage, engine: Engine, id: string | undefined): Promise<Reply> {
  const { injected } = engine;
  if (request.method === 'GET' && id === undefined) return { status: 200, json: { faults: injected.list() } };
  if (request.method === 'POST' && id === undefined) {
    const active = await inject(injected, engine, faultSchema.parse(JSON.parse(await readText(request))));
    return { status: 201, json: { id: active.id } };
  }
  if (request.method !== 'DELETE') return { status: 405, json: { error: '/faults takes GET, POST and DELETE, /faults/<id> takes DELETE' } };
  const released = release(injected, engine, id);
  return released === 0 && id !== undefined
    ? { status: 404, json: { error: `there is no fault ${id}` } }
    : { status: 200, json: { released } };
}

/** What the lab holds at this moment: for tests that prove that nothing is left behind. */
function state({ context }: Engine): object {
  const { host, locks, background, store } = context;
  const { vms, attachments, operations, snapshots, disks, backups, transfers, checkpoints } = store.tables;
  return {
    locks: locks.list(),
    background: background.names(),
    operations: operations.all().map(({ kind, id, correlationId }) => ({ kind, id, correlationId })),
    lockedSnapshots: snapshots
      .where((snapshot) => snapshot.status === 'locked')
      .map(({ id, vmId, description }) => ({ id, vmId, description })),
    lockedDisks: disks.where((disk) => disk.locked).map(({ id, alias }) => ({ id, alias })),
    snapshotAttachments: attachments
      .where((attachment) => attachment.snapshotId !== undefined)
      .map(({ vmId, diskId, snapshotId, active }) => ({ vmId, diskId, snapshotId, active })),
    backups: backups.where(isUnfinished).map(({ id, vmId, kind, phase }) => ({ id, vmId, kind, phase })),
    transfers: transfers
      .where((transfer) => !isFinal(transfer.phase))
      .map(({ id, diskId, direction, phase }) => ({ id, diskId, direction, phase })),
    checkpoints: checkpoints.all().map(({ id, vmId, state: checkpointState, diskIds }) => ({ id, vmId, state: checkpointState, diskIds })),
    scratchDisks: disks.where((disk) => disk.contentType === 'backup_scratch').map(({ id, alias }) => ({ id, alias })),
    vms: vms
      .all()
      .map(({ id, name, status }) => ({ id, name, status, hostStatus: host.vmStatus(id), devicesDirectory: host.devicesDirectory(id) })),
  };
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
