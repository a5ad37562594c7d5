// The appliance's worker in a network namespace of its own. Its only way out is a relay to Temporal that counts, so what it moves over TCP is
// known to the byte, closed connections and child processes included; and what lies beyond TCP elsewhere it cannot reach at all.
import { readFile, readdir, readlink } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { startWorkerInside, whyNoNamespace } from './namespaces';
import { configFileOf, type Stack, type WorkerConfigFile } from './stack';

const portInside = 7233;

export interface LanFreeWorker {
  readonly pid: number;
  /** Bytes through the relay in both directions since the start. */
  relayedBytes(): number;
  /** Bytes over the namespace's loopback interface, all processes in it together: relay connections and anything else. */
  loopbackBytes(): Promise<number>;
  /** And starts the stack's own again. */
  stop(): Promise<void>;
}

export const whyNotLanFree = (): string | undefined => whyNoNamespace('net');

/** Takes the place of the appliance's worker that the stack had started. */
export async function startLanFreeWorker(stack: Stack): Promise<LanFreeWorker> {
  await stack.parts.part('worker-appliance').stop();
  const relay = await startRelay(stack);
  const config = JSON.parse(await readFile(configFileOf(stack.parts.state, 'appliance'), 'utf8')) as WorkerConfigFile;
  const ready = path.join(stack.parts.state, 'relay.ready');
  const program = path.join(__dirname, 'relay-inside.mjs');
  const script = `ip link set lo up 2>/dev/null || busybox ip link set lo up
    setpriv --pdeathsig TERM '${process.execPath}' '${program}' ${portInside} '${relay.socketPath}' '${ready}' >/dev/null 2>&1 &
    until [ -e '${ready}' ]; do sleep 0.05; done
    exec "$@"`;
  try {
    const worker = await startWorkerInside(stack, ['net'], script, 'lan-free', { ...config, temporal: { address: `127.0.0.1:${portInside}`, namespace: stack.parts.temporal.namespace } });
    return {
      pid: worker.pid,
      relayedBytes: relay.bytes,
      loopbackBytes: () => loopbackBytes(worker.pid),
      stop: async () => {
        await worker.stop();
        await relay.stop();
        await stack.parts.part('worker-appliance').start();
      },
    };
  } catch (error) {
    await relay.stop();
    throw error;
  }
}

async function startRelay({ parts }: Stack): Promise<{ readonly socketPath: string; readonly bytes: () => number; readonly stop: () => Promise<void> }> {
  const [host = '', port = ''] = parts.temporal.address.split(':');
  const socketPath = path.join(parts.state, 'relay.sock');
  const sockets = new Set<Socket>();
  let bytes = 0;
  const server = createServer((inside) => {
    const outside = connect(Number(port), host);
    for (const [from, to] of [[inside, outside], [outside, inside]] as const) {
      sockets.add(from);
      from.on('data', (chunk) => (bytes += chunk.length));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise<void>((done, fail) => { server.once('error', fail).listen(socketPath, done); });
  const stop = (): Promise<void> => new Promise((done) => {
    server.close(() => done());
    for (const socket of sockets) socket.destroy();
  });
  return { socketPath, bytes: () => bytes, stop };
}

async function loopbackBytes(pid: number): Promise<number> {
  const line = (await readFile(`/proc/${pid}/net/dev`, 'utf8')).split('\n').find((text) => text.trim().startsWith('lo:'));
  return Number(line?.split(':')[1]?.trim().split(/\s+/)[0]);
}

/** TCP sockets that a process has open, listening ones included. */
export async function tcpSocketsOf(pid: number): Promise<readonly string[]> {
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => '')));
  const inodes = new Set(tables.flatMap((table) => table.split('\n').slice(1)).map((line) => line.trim().split(/\s+/)[9] ?? ''));
  const links = await Promise.all((await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  return links.filter((link) => inodes.has(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? 'none'));
}
