// The engine: an oVirt REST API v4 over a host. Everything that it remembers is in its state directory; it may be
// killed at any moment and started again there.
import { mkdir } from 'node:fs/promises';
import type { Host } from '../host/port';
import { Background } from './background';
import type { Context } from './context';
import { resumeOperations } from './commands/resume';
import { syncVmStatuses, watchVms } from './commands/run-vm';
import { EventLog } from './events';
import { accounts, furnish } from './furnish';
import { base } from './http/call';
import { Router } from './http/router';
import { serveHttps } from './http/server';
import { Sessions, type Account } from './http/sessions';
import { prepareTls } from './http/tls';
import { Jobs } from './jobs';
import { Locks } from './locks';
import { allRoutes } from './resources';
import { Store } from './state/store';
import { Volumes } from './volumes';

export interface EngineOptions {
  readonly stateDirectory: string;
  readonly host: Host;
  /** 0: any free one. */
  readonly port: number;
  readonly tokenIdleSeconds: number;
  readonly log: (line: string) => void;
}

export interface Engine {
  /** `https://127.0.0.1:<port>/ovirt-engine/api` */
  readonly url: string;
  readonly port: number;
  readonly caFile: string;
  readonly accounts: readonly Account[];
  readonly sessions: Sessions;
  readonly context: Context;
  /** Stops answering and remembering. What runs is resumed by the next engine on the same state. */
  readonly close: () => Promise<void>;
}

/** The host has to be started already. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { stateDirectory, host, log } = options;
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const tls = await prepareTls(stateDirectory);
  const store = new Store(stateDirectory);
  const context: Context = {
    store,
    host,
    log,
    locks: new Locks(),
    events: new EventLog(store),
    jobs: new Jobs(store),
    volumes: new Volumes(host),
    background: new Background(log),
    expectedDown: new Set(),
  };
  await furnish(context);
  watchVms(context);
  store.write(() => {
    syncVmStatuses(context);
  });
  resumeOperations(context);
  const known = accounts(context);
  const sessions = new Sessions(known, options.tokenIdleSeconds);
  const server = await serveHttps({ port: options.port, tls, sessions, router: new Router(allRoutes(context)), log });
  return {
    url: `https://127.0.0.1:${server.port}${base}`,
    port: server.port,
    caFile: tls.caFile,
    accounts: known,
    sessions,
    context,
    close: async () => {
      await server.close();
      store.close();
    },
  };
}
