// The engine: an oVirt REST API v4 over a host. Everything that it remembers is in its state directory; it may be
// killed at any moment and started again there.
import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
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
import { callFaults } from './injected/call-faults';
import { faultyHost } from './injected/faulty-host';
import { InjectedFaults } from './injected/injected-faults';
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
  readonly injected: InjectedFaults;
  /** As a restarted engine service: connections cut, sessions and locks gone, unfinished operations resumed, at the same place. */
  readonly restart: (downSeconds: number) => Promise<void>;
  /** Stops answering and remembering. What runs is resumed by the next engine on the same state. */
  readonly close: () => Promise<void>;
}

/** The host has to be started already. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const injected = new InjectedFaults();
  let current = await incarnate(options, options.port, injected, () => engine);
  const { port, caFile, accounts: known } = current;
  const engine: Engine = {
    url: `https://127.0.0.1:${port}${base}`,
    port,
    caFile,
    accounts: known,
    injected,
    get sessions() {
      return current.sessions;
    },
    get context() {
      return current.context;
    },
    restart: async (downSeconds) => {
      await current.close();
      await current.settled();
      await sleep(downSeconds * 1000);
      current = await incarnate(options, port, injected, () => engine);
    },
    close: () => current.close(),
  };
  return engine;
}

interface Incarnation extends Pick<Engine, 'port' | 'caFile' | 'accounts' | 'sessions' | 'context' | 'close'> {
  /** Nothing that this engine asked of the host is under way any more. */
  readonly settled: () => Promise<void>;
}

/** The engine from one start to its end: everything but the state directory, the host and the injected faults is new. */
async function incarnate(options: EngineOptions, port: number, injected: InjectedFaults, engine: () => Engine): Promise<Incarnation> {
  const { stateDirectory, log } = options;
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const tls = await prepareTls(stateDirectory);
  const store = new Store(stateDirectory);
  const { host, retire } = faultyHost(options.host, injected);
  const context: Context = {
    store,
    host,
    log,
    injected,
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
  const router = new Router(allRoutes(context));
  const server = await serveHttps({ port, tls, sessions, router, callFaults: callFaults(injected, engine), log });
  return {
    port: server.port,
    caFile: tls.caFile,
    accounts: known,
    sessions,
    context,
    settled: retire,
    close: async () => {
      await server.close();
      store.close();
      void retire();
    },
  };
}
