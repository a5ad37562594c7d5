// A small HTTP client of the lab for its own tests: certificate checked, one request at a time, nothing hidden.
import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEngine, type Engine } from '../../../lab/engine';
import type { EngineDatabase } from '../../../lab/engine/database-port';
import { newId } from '../../../lab/engine/events';
import { parseXml, type XmlNode } from '../../../lab/engine/xml';
import { FakeBackupHost, FakeImageio } from './fake-backup-host';

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export interface Ask {
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function send(method: string, url: string, caFile: string, { body, headers = {} }: Ask = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, { method, ca: readFileSync(caFile), headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString('utf8') });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Of the first lab of this file, for the others: three runs of openssl for each one would be most of its start. */
let authority: string | undefined;
afterAll(async () => { if (authority !== undefined) await rm(authority, { recursive: true, force: true }); });

async function newState(): Promise<string> {
  const state = await mkdtemp(join(tmpdir(), 'hf-engine-'));
  if (authority !== undefined) await cp(authority, join(state, 'ca'), { recursive: true });
  return state;
}

async function keepAuthority(state: string): Promise<void> {
  if (authority !== undefined) return;
  const kept = await mkdtemp(join(tmpdir(), 'hf-engine-ca-'));
  await cp(join(state, 'ca'), kept, { recursive: true });
  authority = kept;
}

/** An engine over a fake host, with a logged-in administrator. */
export class Lab {
  token = '';

  private constructor(
    readonly engine: Engine,
    readonly host: FakeBackupHost,
    readonly imageio: FakeImageio,
    readonly directory: string,
    readonly lines: string[],
  ) {}

  static async start(directory?: string, tokenIdleSeconds = 1800, database?: EngineDatabase): Promise<Lab> {
    const state = directory ?? (await newState());
    const host = new FakeBackupHost(join(state, 'host'));
    const imageio = new FakeImageio();
    const lines: string[] = [];
    const engine = await startEngine({
      stateDirectory: state,
      host,
      imageio,
      ...(database === undefined ? {} : { database }),
      port: 0,
      pollMs: 25,
      tokenIdleSeconds,
      log: (line) => {
        lines.push(line);
      },
    });
    await keepAuthority(state);
    const lab = new Lab(engine, host, imageio, state, lines);
    lab.token = await lab.logIn('admin@internal');
    return lab;
  }

  /** Stops as a SIGKILL would: nothing is finished, nothing is cleaned up. */
  async crash(): Promise<void> {
    await this.engine.close();
    await this.host.close();
  }

  async restart(): Promise<Lab> {
    await this.crash();
    return Lab.start(this.directory);
  }

  async remove(): Promise<void> {
    await this.crash();
    await rm(this.directory, { recursive: true, force: true });
  }

  get origin(): string {
    return `https://127.0.0.1:${this.engine.port}`;
  }

  password(userName: string): string {
    return this.engine.accounts.find((account) => account.userName === userName)?.password ?? '';
  }

  async logIn(userName: string): Promise<string> {
    const reply = await this.sso({ grant_type: 'password', scope: 'ovirt-app-api', username: userName, password: this.password(userName) });
    return (JSON.parse(reply.text) as { access_token: string }).access_token;
  }

  sso(form: Readonly<Record<string, string>>): Promise<Reply> {
    return send('POST', `${this.origin}/ovirt-engine/sso/oauth/token`, this.engine.caFile, {
      body: new URLSearchParams(form).toString(),
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', Accept: 'application/json' },
    });
  }

  api(method: string, path: string, ask: Ask = {}): Promise<Reply> {
    return send(method, `${this.origin}/ovirt-engine/api${path}`, this.engine.caFile, {
      ...ask,
      headers: {
        Authorization: `Bearer ${this.token}`,
        Version: '4',
        ...(ask.body === undefined ? {} : { 'Content-Type': 'application/xml' }),
        ...ask.headers,
      },
    });
  }

  async json(method: string, path: string, body?: object): Promise<Json> {
    const reply = await this.api(method, path, {
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: { Accept: 'application/json', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    });
    if (reply.status >= 400) throw new Error(`${method} ${path}: ${reply.status} ${reply.text}`);
    return JSON.parse(reply.text) as Json;
  }

  async xml(method: string, path: string, body?: string): Promise<XmlNode> {
    const reply = await this.api(method, path, body === undefined ? {} : { body });
    if (reply.status >= 400) throw new Error(`${method} ${path}: ${reply.status} ${reply.text}`);
    return parseXml(reply.text);
  }

  async post(path: string, body: string): Promise<string> {
    return (await this.xml('POST', path, body)).attributes['id'] ?? '';
  }

  action(path: string, body = '<action/>'): Promise<Reply> {
    return this.api('POST', path, { body });
  }

  /** Everything that goes on in the background is over. */
  idle(): Promise<void> {
    return this.engine.context.background.idle();
  }

  async vm(name: string, extra = ''): Promise<string> {
    return this.post(
      '/vms',
      `<vm><name>${name}</name><cluster><name>Default</name></cluster><template><name>Blank</name></template>${extra}</vm>`,
    );
  }

  async disk(alias: string, extra = '', format = 'cow'): Promise<string> {
    const id = await this.post('/disks', newDisk(alias, extra, format));
    await this.idle();
    return id;
  }

  /** A VM with one attached, active disk. */
  async vmWithDisk(name: string): Promise<{ readonly vmId: string; readonly diskId: string }> {
    const vmId = await this.vm(name);
    const diskId = await this.disk(`${name}_Disk1`);
    await this.attach(vmId, diskId, '<active>true</active><bootable>true</bootable>');
    return { vmId, diskId };
  }

  /** As the demo data center makes one; the API cannot. */
  async template(name: string): Promise<{ readonly templateId: string; readonly diskId: string }> {
    const diskId = await this.disk(`${name}_Disk1`);
    const { store } = this.engine.context;
    const templateId = newId();
    const clusterId = store.tables.places.where((place) => place.kind === 'cluster')[0]?.id ?? '';
    const disks = [{ diskId, interface: 'virtio_scsi', bootable: true }] as const;
    store.write(() => {
      store.tables.templates.put({
        ...{ id: templateId, name, clusterId, disks },
        description: '',
        memoryBytes: 1024 ** 3,
        osType: 'other_linux',
        createdMs: 1,
      });
    });
    return { templateId, diskId };
  }

  attach(vmId: string, diskId: string, extra = '<active>true</active>', snapshotId?: string): Promise<Reply> {
    return this.api('POST', `/vms/${vmId}/diskattachments`, { body: attachment(diskId, extra, snapshotId) });
  }

  async start(vmId: string): Promise<void> {
    const reply = await this.action(`/vms/${vmId}/start`);
    if (reply.status !== 200) throw new Error(reply.text);
    await this.idle();
  }

  async snapshot(vmId: string, description = 'snap', extra = ''): Promise<string> {
    const id = await this.post(`/vms/${vmId}/snapshots`, newSnapshot(description, extra));
    await this.idle();
    return id;
  }

  /** Codes of the events of a correlation id, oldest first. */
  async eventCodes(correlationId: string): Promise<number[]> {
    const found = await this.json('GET', `/events?search=${encodeURIComponent(`correlation_id=${correlationId}`)}`);
    return (found['event'] as { code: string }[]).map(({ code }) => Number(code)).reverse();
  }
}

export type Json = Readonly<Record<string, unknown>>;

export function newDisk(alias: string, extra = '', format = 'cow'): string {
  return `<disk><alias>${alias}</alias><provisioned_size>1073741824</provisioned_size><format>${format}</format>${extra}<storage_domains><storage_domain><name>data-1</name></storage_domain></storage_domains></disk>`;
}

export function newSnapshot(description: string, extra = ''): string {
  return `<snapshot><description>${description}</description><persist_memorystate>false</persist_memorystate>${extra}</snapshot>`;
}

export function attachment(diskId: string, extra = '', snapshotId?: string): string {
  const snapshot = snapshotId === undefined ? '' : `<snapshot id="${snapshotId}"/>`;
  return `<disk_attachment><disk id="${diskId}">${snapshot}</disk><interface>virtio_scsi</interface>${extra}</disk_attachment>`;
}
