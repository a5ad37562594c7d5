// The engine: an oVirt REST API v4 over a host. Everything that it remembers is in its state directory; it may be
// killed at any moment and started again there.
import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackupHost, ImageioDaemon } from '../host/backup-port';
import type { Host } from '../host/port';
import { Background } from './background';
import { Clock } from './clock';
import type { Context, Settings } from './context';
import type { EngineDatabase } from './database-port';
import { resumeOperations } from './commands/resume';
import { syncVmStatuses, watchVms } from './commands/run-vm';
import { EventLog } from './events';
import { accounts, furnish } from './furnish';
import { base } from './http/call';
import { Router } from './http/router';
import { serveHttps, type Authority } from './http/server';
import { Sessions, type Account } from './http/sessions';
import { prepareTls } from './http/tls';
import { callFaults } from './injected/call-faults';
import { faultyHost } from './injected/faulty-host';
import { InjectedFaults } from './injected/injected-faults';
import { Holds } from './injected/holds';
import { Jobs } from './jobs';
import { Locks } from './locks';
import { Monitor } from './monitor';
import { noBackupHost, noDaemon } from './no-data-side';
import { allRoutes } from './resources';
import { mayLogIn } from './permissions/authority';
import { lacking } from './permissions/rules';
import { Store } from './state/store';
import { Turns } from './turns';
import { Volumes } from './volumes';

const defaultPollMs = 1000;

export interface EngineOptions {
  readonly stateDirectory: string;
  readonly host: Host & { readonly backups?: BackupHost };
  /** Started already, like the host. Without it, or without the host's side of it, there are no backups and no transfers. */
  readonly imageio?: ImageioDaemon;
  /** Of the engine's own backups; somebody else closes it. */
  readonly database?: EngineDatabase;
  /** 0: any free one. */
  readonly port: number;
  readonly tokenIdleSeconds: number;
  readonly settings?: Partial<Settings>;
  /** How often the engine looks at transfers (1000). */
  readonly pollMs?: number;
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
  readonly restart: (downSeconds: number, forgetBackups?: boolean) => Promise<void>;
  /** Puts the engine's clock forward; what is due has happened when it resolves. */
  readonly advanceClock: (seconds: number) => Promise<void>;
  /** Stops answering and remembering. What runs is resumed by the next engine on the same state. */
  readonly close: () => Promise<void>;
}

/** The host has to be started already. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const injected = new InjectedFaults();
  const lasting: Lasting = { injected, clock: new Clock(), settings: { detachWipesTracking: false, vmsBelow47: [], restartFailsNamedBackups: true, auditLogAgingDays: 30, ...options.settings } };
  let current = await incarnate(options, options.port, lasting, () => engine);
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
    restart: async (downSeconds, forgetBackups = false) => {
      await current.close();
      await current.settled();
      await sleep(downSeconds * 1000);
      current = await incarnate(options, port, lasting, () => engine, forgetBackups);
    },
    advanceClock: async (seconds) => {
      lasting.clock.advance(seconds);
      await current.monitor.poll();
    },
    close: () => current.close(),
  };
  return engine;
}

/** What outlasts an engine that the lab restarts. */
interface Lasting {
  readonly injected: InjectedFaults;
  readonly clock: Clock;
  readonly settings: Settings;
}

interface Incarnation extends Pick<Engine, 'port' | 'caFile' | 'accounts' | 'sessions' | 'context' | 'close'> {
  /** Nothing that this engine asked of the host is under way any more. */
  readonly settled: () => Promise<void>;
  readonly monitor: Monitor;
}

/** The engine from one start to its end: everything but the state directory, the host and the injected faults is new. */
async function incarnate(
  options: EngineOptions,
  port: number,
  { injected, clock, settings }: Lasting,
  engine: () => Engine,
  forgetBackups = false,
): Promise<Incarnation> {
  const { stateDirectory, log } = options;
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const tls = await prepareTls(stateDirectory);
  const store = new Store(stateDirectory);
  if (forgetBackups) dropBackupCommands(store);
  const { host, backups, imageio, hold, retire } = faultyHost(options.host, dataSide(options), injected);
  const context: Context = {
    ...{ store, host, backups, imageio, clock, settings, log, injected },
    ...(options.database === undefined ? {} : { database: options.database }),
    holds: new Holds(injected, hold),
    turns: new Turns(),
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
  const monitor = new Monitor(context);
  const known = accounts(context);
  const sessions = new Sessions(known, options.tokenIdleSeconds);
  const router = new Router(allRoutes(context, { transfers: options.host.backups !== undefined && options.imageio !== undefined }));
  const server = await serveHttps({ port, tls, sessions, router, callFaults: callFaults(injected, engine), authority: authorityOf(context), log });
  monitor.start(options.pollMs ?? defaultPollMs);
  return {
    monitor,
    port: server.port,
    caFile: tls.caFile,
    accounts: known,
    sessions,
    context,
    settled: retire,
    close: async () => {
      monitor.stop();
      await server.close();
      store.close();
      void retire();
    },
  };
}

function dataSide({ host, imageio }: EngineOptions): { readonly backups: BackupHost; readonly imageio: ImageioDaemon } {
  return { backups: host.backups ?? noBackupHost, imageio: imageio ?? noDaemon };
}

/** As when the engine's command rows are gone (a database that was restored): whatever they drove is nobody's any more. */
function dropBackupCommands(store: Store): void {
  store.write(() => {
    for (const { id } of store.tables.operations.all().filter(({ kind }) => kind === 'vm-backup')) store.tables.operations.delete(id);
  });
}

function authorityOf(context: Context): Authority {
  return {
    mayLogIn: (userName) => mayLogIn(context, userName),
    lacking: (route, call) => {
      const subject = lacking(context, route, call);
      if (subject === undefined || subject === 'SuperUser') return subject;
      return `${subject.permit} on ${subject.on === 'system' ? 'System' : `${subject.on} ${subject.id}`}`;
    },
  };
}
