// The real ovirt-imageio daemon, run and watched: one per lab, on loopback, with the lab's certificate. It is the host's, not the engine's, so it
// outlives a lab that is killed; the next lab takes it over with its tickets. When it dies by itself it is started again on its port, without them.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ImageioDaemon, Ticket, TicketState } from '../backup-port';
import type { HostLog } from '../host-options';
import { HostError } from '../port';
import { identify, isAlive, killAndWait, waitUntilGone, type ProcessIdentity } from '../processes';
import { RunDirectory } from '../run-directory';
import { removeFile } from '../state-file';
import { ControlClient } from './control-client';
import { notedPort, writeConfiguration, type Certificate, type DaemonFiles } from './daemon-files';

const startLimitMs = 60_000;
const endLimitMs = 10_000;
const watchEveryMs = 500;
const portAttempts = 3;

export interface ImageioOptions {
  readonly stateDir: string;
  /** Of an environment that has the `ovirt-imageio` package. */
  readonly python: string;
  readonly certificate: Certificate;
  readonly log: HostLog;
}

export function createImageioDaemon(options: ImageioOptions): LocalImageioDaemon {
  return new LocalImageioDaemon(options);
}

export class LocalImageioDaemon implements ImageioDaemon {
  private readonly files: DaemonFiles;
  private readonly run: RunDirectory;
  private readonly control: ControlClient;
  private watching: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;
  private current: { readonly identity: ProcessIdentity; readonly port: number } | undefined;

  constructor(private readonly options: ImageioOptions) {
    const directory = path.join(path.resolve(options.stateDir), 'imageio');
    this.run = new RunDirectory(options.stateDir);
    this.files = { directory, log: path.join(directory, 'daemon.log'), localSocket: this.run.socket('imageio.local'), controlSocket: this.run.socket('imageio.control') };
    this.control = new ControlClient(this.files.controlSocket);
  }

  async start(): Promise<void> {
    if (this.watching) return;
    await this.run.create();
    this.current = (await this.adopt()) ?? (await this.launch());
    const stop = new AbortController();
    this.watching = { stop, done: this.watch(stop.signal) };
  }

  async stop(): Promise<void> {
    await this.release();
    const identity = this.current?.identity ?? (await this.findProcess());
    this.current = undefined;
    if (identity) {
      process.kill(identity.pid, 'SIGTERM');
      if (!(await waitUntilGone(identity, endLimitMs))) await killAndWait(identity);
    }
    for (const socket of [this.files.localSocket, this.files.controlSocket]) await removeFile(socket);
    await this.run.removeIfEmpty();
  }

  /** The lab goes, the daemon stays, as the VMs do. */
  async release(): Promise<void> {
    this.watching?.stop.abort();
    await this.watching?.done;
    this.watching = undefined;
  }

  address(): { readonly url: string; readonly unixSocket: string } {
    if (!this.current) throw new HostError('imageio-unavailable', 'the imageio daemon was not started');
    return { url: `https://localhost:${this.current.port}`, unixSocket: this.files.localSocket };
  }

  addTicket(ticket: Ticket): Promise<void> {
    return this.control.add(ticket);
  }

  ticketState(uuid: string): Promise<TicketState | undefined> {
    return this.control.state(uuid);
  }

  extendTicket(uuid: string, timeoutSeconds: number): Promise<void> {
    return this.control.extend(uuid, timeoutSeconds);
  }

  removeTicket(uuid: string): Promise<void> {
    return this.control.remove(uuid);
  }

  private async adopt(): Promise<{ readonly identity: ProcessIdentity; readonly port: number } | undefined> {
    const [identity, port] = [await this.findProcess(), await notedPort(this.files)];
    if (!identity) return undefined;
    if (port !== undefined && (await this.answers(() => true))) return { identity, port };
    await killAndWait(identity);
    return undefined;
  }

  /** By its configuration's path on its command line: a lab that was killed may not have noted it. */
  private async findProcess(): Promise<ProcessIdentity | undefined> {
    for (const name of await fs.promises.readdir('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const words = (await fs.promises.readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0');
      if (words.some((word) => path.basename(word) === 'ovirt-imageio') && words.includes(this.files.directory)) return identify(Number(name));
    }
    return undefined;
  }

  /** The port it had before when that is still free, so that nobody's address goes stale. */
  private async launch(): Promise<{ readonly identity: ProcessIdentity; readonly port: number }> {
    let wished = await notedPort(this.files);
    for (let attempt = 1; ; attempt += 1) {
      const port = await freePort(wished ?? 0).catch(() => freePort(0));
      await writeConfiguration(this.files, port, this.options.certificate);
      try {
        return { identity: await this.spawn(), port };
      } catch (error) {
        if (attempt >= portAttempts) throw error; // somebody may have taken the port in between
        wished = undefined;
      }
    }
  }

  private async spawn(): Promise<ProcessIdentity> {
    const { python } = this.options;
    const log = fs.openSync(this.files.log, 'a', 0o600);
    const before = fs.fstatSync(log).size;
    const child = spawn(python, [path.join(path.dirname(python), 'ovirt-imageio'), '-c', this.files.directory], { detached: true, cwd: '/', stdio: ['ignore', log, log] });
    fs.closeSync(log);
    child.unref();
    const over = new AbortController();
    child.once('exit', () => over.abort()).once('error', () => over.abort());
    const identity = child.pid === undefined ? undefined : await identify(child.pid);
    if (identity && (await this.answers(() => !over.signal.aborted))) return identity;
    if (identity) await killAndWait(identity);
    const said = (await fs.promises.readFile(this.files.log)).subarray(before).toString().trim().split('\n').slice(-3).join(' ');
    throw new HostError('imageio-unavailable', `the imageio daemon (${python}) did not start: ${said || 'it said nothing; "npm run setup -- --venv" makes its environment'}`);
  }

  /** False when it does not come to it while `goesOn`. */
  private async answers(goesOn: () => boolean): Promise<boolean> {
    for (const deadline = Date.now() + startLimitMs; Date.now() < deadline && goesOn(); ) {
      try {
        await this.control.state('00000000-0000-0000-0000-000000000000');
        return true;
      } catch (error) {
        if (!(error instanceof HostError)) throw error;
      }
      await sleep(20);
    }
    return false;
  }

  private async watch(signal: AbortSignal): Promise<void> {
    const nextLook = (): Promise<boolean> => sleep(watchEveryMs, true, { signal, ref: false }).catch(() => false);
    while (await nextLook()) {
      if (this.current && (await isAlive(this.current.identity))) continue;
      this.options.log.warn({}, 'the imageio daemon has ended by itself; it is started again, its tickets are lost');
      await this.launch().then(
        (started) => (this.current = started),
        (error: unknown) => this.options.log.warn({ error: String(error) }, 'the imageio daemon does not start'),
      );
    }
  }
}

/** The wished port when nobody listens there; rejects otherwise. */
function freePort(wished: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.once('error', reject);
    probe.listen(wished, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
