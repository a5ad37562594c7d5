// What the control worker can see: Temporal, the catalog, the engines and their appliances' VMs. Reads only. Role control.
import { check, ok, skipRest, warning, type Check } from '../../domain/doctor/checks';
import { betweenLooks, judgeClock } from '../../domain/doctor/judge-clock';
import { judgeApplianceSnapshots, judgeApplianceStatus, judgeCertificate, judgeEngineVersion, judgePermissions, judgeTransferPermissions, judgeVirtioScsi, judgeVmBackups } from '../../domain/doctor/judge-engine';
import { judgeMigrations, judgeNamespace, judgePostgres, judgeSearchAttributes } from '../../domain/doctor/judge-workers';
import type { Installation } from '../../domain/flows/doctor';
import { objectNames } from '../../domain/doctor/objects';
import type { ControlExamination } from './dependencies';
import { examine, examineWorker } from './examine';

export interface ControlDoctorActivities {
  /** Engines, appliances and repositories: from the configuration, repositories from the catalog too when it answers. */
  describeInstallation(): Promise<Installation>;
  examineControl(): Promise<readonly Check[]>;
  examineEngine(input: { readonly engine: string }): Promise<readonly Check[]>;
  examineApplianceVm(input: { readonly engine: string; readonly vmId: string }): Promise<readonly Check[]>;
}

/** The API's root tells milliseconds, a database microseconds. */
const engineResolutionMs = 1_000;

export function createControlDoctorActivities(dependencies: ControlExamination): ControlDoctorActivities {
  const { catalog, installation } = dependencies;
  return {
    async describeInstallation() {
      const indexed = await catalog.listRepositories().catch(() => []);
      return { ...installation, repositories: [...new Set([...installation.repositories, ...indexed])].sort() };
    },
    async examineControl() {
      const worker = examineWorker({ node: 'control.node', clock: 'control.clock' }, 'control worker', dependencies);
      return [...worker, ...(await examineTemporal(dependencies)), ...(await examineCatalog(dependencies))];
    },
    examineEngine: ({ engine }) => examineEngine(engine, dependencies),
    examineApplianceVm: ({ engine, vmId }) => examineApplianceVm(engine, vmId, dependencies),
  };
}

async function examineTemporal({ temporal }: ControlExamination): Promise<readonly Check[]> {
  let name = 'namespace';
  const namespace = await examine('temporal.namespace', 'Temporal', async () => {
    const facts = await temporal.namespace();
    name = facts.name;
    return judgeNamespace(facts);
  });
  const attributes = await examine('temporal.search-attributes', 'Temporal', async () => judgeSearchAttributes(temporal.expectedSearchAttributes, await temporal.searchAttributes(), name));
  return [namespace, attributes];
}

async function examineCatalog({ catalog, now }: ControlExamination): Promise<readonly Check[]> {
  const object = 'catalog';
  const facts: { found?: Awaited<ReturnType<typeof catalog.examine>> } = {};
  const reachable = await examine('catalog.reachable', object, async () => {
    facts.found = await catalog.examine();
    return ok('answers');
  });
  const { found } = facts;
  if (found === undefined) return [reachable, ...skipCatalog(object)];
  const clock = await examine('catalog.clock', object, async () => {
    const before = now().getTime();
    const theirs = Date.parse(await catalog.now());
    return judgeClock(betweenLooks(theirs, before, now().getTime()), 'the control worker\'s clock');
  });
  return [reachable, check('catalog.version', object, judgePostgres(found.versionNumber)), check('catalog.migrations', object, judgeMigrations(found)), clock];
}

function skipCatalog(object: string): readonly Check[] {
  return skipRest('control', object, 'the catalog does not answer', []).filter(({ id }) => id.startsWith('catalog.') && id !== 'catalog.reachable');
}

async function examineEngine(name: string, dependencies: ControlExamination): Promise<readonly Check[]> {
  const { installation, now } = dependencies;
  const object = objectNames.engine(name);
  const made: Check[] = [];
  const look = async (...given: Parameters<typeof examine>): Promise<boolean> => {
    const result = await examine(...given);
    made.push(result);
    return result.verdict === 'ok' || result.verdict === 'warning';
  };
  const rest = (why: string): readonly Check[] => [...made, ...skipRest('engine', object, why, made)];
  const engine = dependencies.engineOf(name);
  const appliances = installation.engines.find((each) => each.name === name)?.applianceIds ?? [];
  await look('engine.appliance', object, () => Promise.resolve(appliances.length > 0 ? ok(appliances.join(', ')) : warning('none: only the method transfer can be used')));
  const certificate: { facts?: Awaited<ReturnType<typeof engine.certificate>> } = {};
  const isReachable = await look('engine.reachable', object, async () => {
    certificate.facts = await engine.certificate();
    return ok('its port answers with TLS');
  });
  const { facts } = certificate;
  if (!isReachable || facts === undefined) return rest('the engine cannot be reached');
  if (!(await look('engine.certificate', object, () => Promise.resolve(judgeCertificate(facts, now().getTime()))))) return rest('the engine\'s certificate is not trusted, so nothing more is sent to it');
  const isLoggedIn = await look('engine.login', object, async () => {
    await engine.about();
    return ok(`as ${dependencies.usernameOf(name)}`);
  });
  if (!isLoggedIn) return rest('the log-in failed');
  await look('engine.version', object, async () => {
    const { product, version } = await engine.about();
    return judgeEngineVersion(product, version);
  });
  await look('engine.vm-backups', object, async () => judgeVmBackups((await engine.about()).version));
  await look('engine.clock', object, async () => {
    const before = now().getTime();
    const theirs = await engine.clockMs();
    return judgeClock(betweenLooks(theirs, before, now().getTime(), engineResolutionMs), 'the control worker\'s clock');
  });
  const user = dependencies.usernameOf(name);
  await look('engine.permissions', object, async () => judgePermissions(user, await engine.ownPermissions()));
  await look('engine.transfer-permissions', object, async () => judgeTransferPermissions(user, await engine.ownPermissions(), { hasAppliances: appliances.length > 0 }));
  return made;
}

async function examineApplianceVm(engineName: string, vmId: string, { engineOf }: ControlExamination): Promise<readonly Check[]> {
  const engine = engineOf(engineName);
  const object = objectNames.appliance(engineName, vmId);
  const found: { vm?: Awaited<ReturnType<typeof engine.getVm>> } = {};
  const up = await examine('appliance.up', object, async () => judgeApplianceStatus((found.vm = await engine.getVm(vmId))));
  if (found.vm === undefined) return [up, ...skipRest('appliance-vm', object, 'the VM cannot be read', [up])];
  return [
    up,
    await examine('appliance.virtio-scsi', object, async () => judgeVirtioScsi(await engine.hasVirtioScsi(vmId))),
    await examine('appliance.snapshots', object, async () => judgeApplianceSnapshots(await engine.listSnapshots(vmId))),
  ];
}
