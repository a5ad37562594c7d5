// The real ovirt-imageio daemon of the set-up's Python environment, on loopback with a CA of its own; images are served to it by qemu-nbd.
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { freePort } from '../../support/ports';
import { pythonOfSetup } from '../../support/python';
import { foreignServer, qemuImg, until } from '../blocks/support';
import type { Stand, StandTicket, TicketRequest } from './stand';

export interface RealDaemon extends Stand {
  readonly url: string;
  readonly caFile: string;
  kill(): Promise<void>;
  /** A CA that signed nothing here. */
  readonly otherCaFile: string;
}

function makeCertificates(directory: string): void {
  const openssl = (...words: readonly string[]): void => void execFileSync('openssl', words, { cwd: directory, stdio: 'pipe', timeout: 60_000 });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const ca of ['ca', 'other-ca']) openssl('req', '-x509', ...key, '-keyout', `${ca}.key`, '-out', `${ca}.pem`, '-days', '2', '-subj', `/CN=${ca}`);
  openssl('req', ...key, '-keyout', 'host.key', '-out', 'host.csr', '-subj', '/CN=host', '-addext', 'subjectAltName=IP:127.0.0.1');
  openssl('x509', '-req', '-in', 'host.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-copy_extensions', 'copyall', '-out', 'host.pem');
}

const configuration = (directory: string, port: number): string => `[daemon]
systemd_enable = false
drop_privileges = false
run_dir = ${directory}
[tls]
enable = true
key_file = ${directory}/host.key
cert_file = ${directory}/host.pem
ca_file = ${directory}/ca.pem
[remote]
host = 127.0.0.1
port = ${port}
[local]
enable = true
socket = ${directory}/local
[control]
transport = unix
socket = ${directory}/control
remove_timeout = 10
[handlers]
keys = stderr
[logger_root]
level = ERROR
handlers = stderr
`;

function control(socketPath: string, method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const call = request({ socketPath, method, path, headers: { 'content-length': Buffer.byteLength(text) } }, (answer) => {
      let received = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (received += chunk)).on('end', () => resolve({ status: answer.statusCode ?? 0, text: received }));
    });
    call.on('error', reject).end(text);
  });
}

export async function startRealDaemon(directory: string): Promise<RealDaemon> {
  mkdirSync(join(directory, 'conf.d'), { recursive: true });
  makeCertificates(directory);
  const port = await freePort();
  writeFileSync(join(directory, 'conf.d', 'daemon.conf'), configuration(directory, port));
  const program = join(dirname(await pythonOfSetup()), 'ovirt-imageio');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, '-c', directory], { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-4_000)));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const socketPath = join(directory, 'control');
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`ovirt-imageio ended: ${errors}`);
    return control(socketPath, 'GET', '/tickets/none').then(() => true, () => false);
  }, 60_000);
  const exports: (() => Promise<void>)[] = [];
  const url = `https://127.0.0.1:${port}`;
  const stand: RealDaemon = {
    url,
    caFile: join(directory, 'ca.pem'),
    otherCaFile: join(directory, 'other-ca.pem'),
    options: { caFile: join(directory, 'ca.pem') },
    async ticket(wanted) {
      const made = await newTicket(directory, socketPath, url, wanted);
      exports.push(made.end);
      return made;
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    async stop() {
      await stand.kill();
      for (const end of exports) await end();
    },
  };
  return stand;
}

async function newTicket(directory: string, socketPath: string, url: string, wanted: TicketRequest): Promise<StandTicket> {
  const uuid = randomUUID();
  const writes = wanted.op === 'write';
  const nbd = wanted.asFile === true ? undefined : await foreignServer(join(directory, uuid.slice(0, 8)), [...(writes ? ['--discard=unmap'] : ['-r']), '--allocation-depth', '-f', 'qcow2', ...(wanted.bitmap === undefined ? [] : ['-B', wanted.bitmap]), wanted.image]);
  const virtualBytes = (JSON.parse(qemuImg('info', '-U', '--output=json', wanted.image)) as { 'virtual-size': number })['virtual-size'];
  const ticket = {
    uuid,
    size: wanted.sizeBytes ?? virtualBytes,
    ops: [wanted.op],
    timeout: wanted.timeoutSeconds ?? 300,
    url: nbd === undefined ? `file://${wanted.image}` : `nbd:unix:${join(directory, uuid.slice(0, 8))}`,
    sparse: true,
    dirty: wanted.bitmap !== undefined,
  };
  const added = await control(socketPath, 'PUT', `/tickets/${uuid}`, ticket);
  if (added.status !== 200) throw new Error(`no ticket: ${added.status} ${added.text}`);
  return {
    uuid,
    transferUrl: `${url}/images/${uuid}`,
    sizeBytes: virtualBytes,
    async cancel() {
      const { status } = await control(socketPath, 'DELETE', `/tickets/${uuid}`);
      if (status !== 204) throw new Error(`the ticket is not removed: ${status}`);
    },
    async expire() {
      await control(socketPath, 'PATCH', `/tickets/${uuid}`, { timeout: 0 });
    },
    connections: async () => (JSON.parse((await control(socketPath, 'GET', `/tickets/${uuid}`)).text) as { connections: number }).connections,
    async content() {
      await nbd?.stop();
      const raw = `${wanted.image}.content`;
      qemuImg('convert', '-f', 'qcow2', '-O', 'raw', wanted.image, raw);
      return raw;
    },
    end: async () => nbd?.stop(),
    stopStorage: async () => nbd?.stop(),
  };
}
