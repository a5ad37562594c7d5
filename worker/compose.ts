// The composition root: from a configuration to Temporal workers. Every role gets the queues that are its own (domain/ids), and a queue
// for short calls beside each queue that copies.
import { NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { createApplianceCopyActivities, createApplianceQuickActivities, createAwarenessControl, createControlActivities, createMoverCopyActivities, createMoverQuickActivities } from '../activities';
import type { ApplianceDependencies, ControlDependencies, MoverCopyDependencies, MoverDependencies } from '../activities/dependencies';
import { createApplianceDoctor, createControlDoctor, createCopiesDoctor, createMoverDoctor } from '../activities/doctor';
import { createCatalog } from '../adapters/catalog/catalog';
import { createEngine } from '../adapters/ovirt/engine';
import type { Engine, EngineExamination } from '../adapters/ovirt/port';
import { createRepository } from '../adapters/repository/repository';
import type { Repository } from '../adapters/repository/port';
import { HoldfastError } from '../domain/failures';
import { taskQueues } from '../domain/ids';
import { createAlertGauges, watchAlerts } from './alert-metrics';
import { sinksOf, startAwareness } from './awareness';
import { readSecret, type EngineConfig, type WorkerConfig } from './config';
import { controlExamination } from './examinations';
import { watchFrozenGuests } from './frozen-guests';
import { createHoldingGauges, watchHoldings } from './holdings-metrics';
import { isExecutionRunning } from './executions';
import { activityLogAttributes, type Log } from './logging';
import { imageioSettingsOf, runSettingsOf } from './run-settings';
import { version } from './version';
import { workflowBundle } from './workflow-bundle';

const gaugesEveryMs = 15_000;

export interface ComposedWorkers {
  readonly workers: readonly Worker[];
  readonly queues: readonly string[];
  close(): Promise<void>;
}

/** What tests may add: interceptors that kill, short sticky timeouts. Production passes nothing. */
export type WorkerOverrides = Partial<Omit<WorkerOptions, 'taskQueue' | 'activities'>>;

export async function composeWorkers(config: WorkerConfig, log: Log, overrides: WorkerOverrides = {}): Promise<ComposedWorkers> {
  const closers: (() => Promise<void>)[] = [];
  const connection = await connect(config);
  closers.push(() => connection.close());
  const engines = new Map(Object.entries(config.engines).map(([name, engine]) => [name, openEngine(name, engine, log)]));
  for (const engine of engines.values()) closers.push(() => engine.close());
  const repositories = new Map(Object.entries(config.repositories).map(([name, { path }]) => [name, createRepository({ name, path })]));
  for (const repository of repositories.values()) await repository.open();
  const engineOf = (name: string): Engine & EngineExamination => named(engines, name, 'config.invalid', 'engine', 'engines');
  const repositoryOf = (name: string): Repository => named(repositories, name, 'repository.unknown', 'repository', 'repositories');

  const examination = { version, now: () => new Date() };
  const placeOf = (name: string) => ({ name, path: config.repositories[name]?.path ?? '', check: () => repositoryOf(name).check() });

  // A quarter of the timeout, a second at most: a cancel arrives with a heartbeat's answer.
  const heartbeatMs = Math.min(1000, (config.heartbeatSeconds * 1000) / 4);
  const plans: { readonly taskQueue: string; readonly options: Partial<WorkerOptions> }[] = [];
  if (config.roles.includes('control')) {
    const dependencies = await controlDependencies(config, log, connection, engineOf, closers);
    const watch = watchFrozenGuests({ catalog: dependencies.catalog, engineOf: (name) => engines.get(name) }, log);
    closers.push(() => watch.stop());
    const doctor = createControlDoctor({ ...examination, ...controlExamination(config, connection), catalog: dependencies.catalog, engineOf });
    const awareness = await startAwareness({ config, log, catalog: dependencies.catalog, engineOf, closers, connection });
    plans.push({ taskQueue: taskQueues.control, options: { activities: { ...createControlActivities(dependencies), ...createAwarenessControl(awareness), ...doctor }, workflowBundle: await workflowBundle() } });
  }
  if (config.roles.includes('mover')) {
    const dependencies: MoverDependencies = { repositoryOf, engineOf, now: () => new Date(), version };
    const imageioOf = (name: string) => imageioSettingsOf(engineConfigOf(config, name));
    const activities = { ...createMoverQuickActivities(dependencies), ...createMoverDoctor({ ...examination, placeOf, engineOf, daemonsOf: imageioOf }) };
    const copies: MoverCopyDependencies = { repositoryOf, engineOf, imageioOf, now: () => new Date(), heartbeatMs };
    for (const name of repositories.keys()) {
      plans.push({ taskQueue: taskQueues.moverQuick(name), options: { activities } });
      plans.push({ taskQueue: taskQueues.moverCopies(name), options: { activities: createMoverCopyActivities(copies), maxConcurrentActivityTaskExecutions: config.limits.copiesPerWorker } });
    }
  }
  if (config.appliance && config.roles.includes('appliance')) {
    const { engine, vmId, devices } = config.appliance;
    const dependencies: ApplianceDependencies = { repositoryOf, devices, now: () => new Date(), heartbeatMs };
    const doctor = createApplianceDoctor({ ...examination, devices, repositories: [...repositories.keys()].map(placeOf) });
    plans.push({ taskQueue: taskQueues.applianceQuick(engine, vmId), options: { activities: { ...createApplianceQuickActivities(dependencies), ...doctor } } });
    plans.push({ taskQueue: taskQueues.applianceCopies(engine, vmId), options: { activities: { ...createApplianceCopyActivities(dependencies), ...createCopiesDoctor(examination) }, maxConcurrentActivityTaskExecutions: config.limits.copiesPerWorker } });
  }

  const common: Partial<WorkerOptions> = {
    connection,
    namespace: config.temporal.namespace,
    identity: `holdfast-${config.roles.join('+')}-${process.pid}`,
    interceptors: { activity: [activityLogAttributes] },
    maxHeartbeatThrottleInterval: '1 second',
    defaultHeartbeatThrottleInterval: '1 second',
    shutdownGraceTime: `${config.shutdownGraceSeconds} seconds`,
    shutdownForceTime: `${config.shutdownGraceSeconds * 2} seconds`,
  };
  const workers: Worker[] = [];
  for (const { taskQueue, options } of plans) workers.push(await Worker.create({ ...common, ...options, ...overrides, taskQueue }));
  return {
    workers,
    queues: plans.map(({ taskQueue }) => taskQueue),
    close: async () => {
      for (const close of closers.reverse()) await close();
    },
  };
}

async function connect(config: WorkerConfig): Promise<NativeConnection> {
  const { address } = config.temporal;
  try {
    return await NativeConnection.connect({ address });
  } catch (error) {
    throw new HoldfastError('config.invalid', `No Temporal server answers at ${address} (temporal.address): ${(error as Error).message}. Start one (holdfast up) or correct the address.`, {}, { cause: error });
  }
}

function openEngine(name: string, engine: EngineConfig, log: Log) {
  return createEngine({
    name,
    url: engine.url,
    username: engine.username,
    password: () => Promise.resolve(readSecret(engine.password)),
    insecure: engine.insecure,
    ...(engine.caFile === undefined ? {} : { caFile: engine.caFile }),
    log: (line) => log.debug(line, 'engine call'),
  });
}

async function controlDependencies(config: WorkerConfig, log: Log, connection: NativeConnection, engineOf: (name: string) => Engine & EngineExamination, closers: (() => Promise<void>)[]): Promise<ControlDependencies> {
  if (!config.catalog) throw new HoldfastError('config.invalid', 'catalog.url: role "control" needs the catalog');
  const catalog = createCatalog({ url: readSecret(config.catalog.url), log, sinksOf: sinksOf(config) });
  closers.push(() => catalog.close());
  await catalog.migrate();
  if (config.metrics) {
    const gauges = createHoldingGauges(Runtime.instance().metricMeter);
    const watch = watchHoldings(catalog, gauges, gaugesEveryMs, (error) => log.warn({ reason: String(error) }, 'the holdings could not be counted for the metrics'));
    const alertWatch = watchAlerts(catalog, createAlertGauges(Runtime.instance().metricMeter), gaugesEveryMs, (error) => log.warn({ reason: String(error) }, 'the alerts could not be counted for the metrics'));
    closers.push(() => watch.stop(), () => alertWatch.stop());
  }
  const engineConfig = (name: string): EngineConfig => engineConfigOf(config, name);
  return {
    catalog,
    engineOf,
    imageioOf: (name) => imageioSettingsOf(engineConfig(name)),
    isExecutionRunning: (execution) => isExecutionRunning(connection, config.temporal.namespace, execution),
    copyLimitsOf: (name) => {
      const { copiesAtOnce, copiesAtOncePerStorageDomain, storageDomains } = engineConfig(name);
      return { copiesAtOnce, copiesAtOncePerStorageDomain, storageDomains };
    },
    vmObjectivesOf: (name) => engineConfig(name).awareness.vms,
    settingsOf: (name) => runSettingsOf(config, engineConfig(name)),
  };
}

const engineConfigOf = (config: WorkerConfig, name: string): EngineConfig => named(new Map(Object.entries(config.engines)), name, 'config.invalid', 'engine', 'engines');

function named<T>(map: ReadonlyMap<string, T>, name: string, code: 'config.invalid' | 'repository.unknown', what: string, key: string): T {
  const found = map.get(name);
  if (found) return found;
  throw new HoldfastError(code, `This worker's configuration has no ${what} "${name}" (${key}). It has: ${[...map.keys()].join(', ') || 'none'}.`);
}
