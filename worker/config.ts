// The worker's configuration: one YAML (or JSON) file and a few environment variables, validated at start. The only file of worker/ that
// reads process.env. Secrets are named by file or variable, never written into the file itself.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { parse as parseYaml } from 'yaml';
import { defaultAwarenessPolicy } from '../domain/awareness/engine-backup';
import { vmObjectivesSchema } from '../domain/awareness/vm-objectives';
import { defaultWitness, witnessPolicySchema } from '../domain/chain';
import { HoldfastError } from '../domain/failures';
import { alertPeriodSchema, checkPeriodSchema, engineBackupSources } from '../domain/flows/awareness';
import { defaultChainPolicy } from '../domain/flows/settings';
import { configNameSchema, uuidSchema } from '../domain/ids';

const secretSchema = z.union([z.strictObject({ file: z.string().min(1) }), z.strictObject({ variable: z.string().min(1) })]);
export type SecretReference = z.infer<typeof secretSchema>;

/** Backups that lie on others (method `transfer`). */
const chainsSchema = z.strictObject({
  /** Backups in a chain, the full one counts: a restore reads all of them, one through the other. */
  maxLength: z.number().int().min(1).default(defaultChainPolicy.maxChainLength),
  /** A chain whose full backup is as old as this gets no further backup. */
  fullEveryDays: z.number().positive().optional(),
});

/** How disks are read and written through the engine's hosts (method `transfer`). Their certificates are judged as the engine's own. */
const imageioSchema = z.strictObject({
  /** `never`: no data through the engine's proxy, even where a host cannot be reached. */
  proxy: z.enum(['when-needed', 'never']).default('when-needed'),
  /** Where the hosts' daemons listen (ImageDaemonPort in engine-config), for the doctor: a transfer learns it from the engine. */
  port: z.number().int().min(1).max(65_535).default(54_322),
  /** Requests under way at once for one disk; the host's own limit counts too. */
  connections: z.number().int().min(1).max(32).default(4),
  /** The engine ends a transfer on which nothing happens for so long. The engine's own default, 60, is over before a busy host has answered. */
  inactivityTimeoutSeconds: z.number().int().min(60).default(600),
});

/** Who is warned of what: docs/operators.md, "Backup awareness" and "VMs without a fresh backup". */
const awarenessSchema = z.strictObject({
  checkPeriodHours: checkPeriodSchema.default(defaultAwarenessPolicy.checkPeriodHours),
  alertPeriodDays: alertPeriodSchema.default(defaultAwarenessPolicy.alertPeriodDays),
  /** The name that engine-setup was given, which engine-backup logs. Default: the host in `url`. */
  fqdn: z.string().min(1).max(255).optional(),
  /** Where the engine's own backups are logged. */
  source: z.enum(engineBackupSources).default('engine-api'),
  /** Source engine-database: its PostgreSQL URL, with an account that reads this one table. */
  database: secretSchema.optional(),
  /** Alerts show in the engine's own event log too. */
  engineEvents: z.boolean().default(true),
  /** The first objective that a VM's name or tag matches is the VM's. None: no VM is judged. */
  vms: vmObjectivesSchema.default([]),
});

const engineSchema = z.strictObject({
  /** `https://<engine>/ovirt-engine/api` */
  url: z.url({ protocol: /^https$/ }),
  username: z.string().min(1),
  password: secretSchema,
  /** PEM file of the CA that signed the engine's certificate. */
  caFile: z.string().optional(),
  /** Turns certificate verification off. Only for trying things out. */
  insecure: z.boolean().default(false),
  appliances: z.array(uuidSchema).default([]),
  snapshotPrefix: z.string().regex(/^[\w .-]{1,40}$/).default('Holdfast'),
  /** In the whole engine, over all runs and workers. */
  copiesAtOnce: z.number().int().min(1).default(4),
  /** On one storage domain, unless it has a limit of its own below. */
  copiesAtOncePerStorageDomain: z.number().int().min(1).default(2),
  /** By id or name. */
  storageDomains: z.record(z.string().min(1), z.strictObject({ copiesAtOnce: z.number().int().min(1) })).default({}),
  chains: chainsSchema.prefault({}),
  /** When the host computes a checksum of the source beside the backup, which reads the whole disk there once more. */
  witness: witnessPolicySchema.default(defaultWitness),
  imageio: imageioSchema.prefault({}),
  awareness: awarenessSchema.prefault({}),
});

export const workerConfigSchema = z.strictObject({
  roles: z.array(z.enum(['control', 'mover', 'appliance'])).min(1),
  temporal: z
    .strictObject({ address: z.string().default('127.0.0.1:7233'), namespace: z.string().default('default') })
    .prefault({}),
  /** Role control. PostgreSQL URL; it holds a password, so it is named by file or variable. */
  catalog: z.strictObject({ url: secretSchema }).optional(),
  engines: z.record(configNameSchema, engineSchema).default({}),
  /** Roles mover and appliance: the repositories that this machine sees. */
  repositories: z.record(configNameSchema, z.strictObject({ path: z.string().startsWith('/') })).default({}),
  /** Role appliance: which VM this worker runs in, and where its disks appear by serial. */
  appliance: z.strictObject({ engine: configNameSchema, vmId: uuidSchema, devices: z.string().startsWith('/').default('/dev/disk/by-id') }).optional(),
  limits: z
    .strictObject({ copiesPerWorker: z.number().int().min(1).default(2), disksPerRun: z.number().int().min(1).default(2) })
    .prefault({}),
  deadlines: z
    .strictObject({
      snapshotSeconds: z.number().int().positive().default(1800),
      attachSeconds: z.number().int().positive().default(600),
      workerSeconds: z.number().int().positive().default(120),
      undoSeconds: z.number().int().positive().default(21_600),
      queueSeconds: z.number().int().positive().default(86_400),
    })
    .prefault({}),
  /** A worker that is silent for so long is taken for dead. */
  heartbeatSeconds: z.number().positive().default(30),
  /** One call to the engine, the catalog or the repository may take so long. */
  callSeconds: z.number().positive().default(120),
  shutdownGraceSeconds: z.number().positive().default(20),
  /** Metrics for Prometheus under /metrics, Temporal's own among them. Each worker process of a machine needs a port of its own. */
  metrics: z.strictObject({ address: z.string().regex(/^\S+:\d{1,5}$/, 'must be <host>:<port>').default('127.0.0.1:9464') }).optional(),
  /** Where alerts are told beside the catalog, the engine's event log and the log. */
  alerts: z.strictObject({ webhook: z.strictObject({ url: z.url({ protocol: /^https?$/ }), secret: secretSchema }).optional() }).default({}),
  log: z.strictObject({ level: z.enum(['debug', 'info', 'warn', 'error']).default('info') }).prefault({}),
});
export type WorkerConfig = z.infer<typeof workerConfigSchema>;
export type EngineConfig = z.infer<typeof engineSchema>;

export type Environment = Readonly<Record<string, string | undefined>>;

export function currentEnvironment(): Environment {
  return process.env;
}

function invalid(source: string, problems: readonly string[]): HoldfastError {
  return new HoldfastError('config.invalid', `The worker's configuration ${source} is not valid:\n${problems.map((problem) => `  - ${problem}`).join('\n')}\nSee docs/operators.md, "Configuration".`);
}

/** Reads and validates; variables win over the file: HOLDFAST_TEMPORAL_ADDRESS, HOLDFAST_TEMPORAL_NAMESPACE, HOLDFAST_LOG_LEVEL. */
export function loadConfig(file: string, environment: Environment = currentEnvironment()): WorkerConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new HoldfastError('config.invalid', `Cannot read the worker's configuration ${file}: ${(error as Error).message}. Name a readable file with --config.`, {}, { cause: error });
  }
  return parseConfig(text, file, environment);
}

export function parseConfig(text: string, source: string, environment: Environment): WorkerConfig {
  let raw: unknown;
  try {
    raw = parseYaml(text);
  } catch (error) {
    throw invalid(source, [`not YAML: ${(error as Error).message}`]);
  }
  const result = workerConfigSchema.safeParse(withEnvironment(raw, environment));
  if (!result.success) throw invalid(source, result.error.issues.map((issue) => `${issue.path.join('.') || '(top level)'}: ${issue.message}`));
  const problems = crossChecks(result.data);
  if (problems.length > 0) throw invalid(source, problems);
  return result.data;
}

function withEnvironment(raw: unknown, environment: Environment): unknown {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return raw;
  const config = raw as Record<string, unknown>;
  const section = (key: string): Record<string, unknown> => (typeof config[key] === 'object' && config[key] !== null ? (config[key] as Record<string, unknown>) : {});
  const address = environment['HOLDFAST_TEMPORAL_ADDRESS'];
  const namespace = environment['HOLDFAST_TEMPORAL_NAMESPACE'];
  const level = environment['HOLDFAST_LOG_LEVEL'];
  return {
    ...config,
    ...(address || namespace ? { temporal: { ...section('temporal'), ...(address ? { address } : {}), ...(namespace ? { namespace } : {}) } } : {}),
    ...(level ? { log: { ...section('log'), level } } : {}),
  };
}

/** What one key demands of another. */
function crossChecks(config: WorkerConfig): readonly string[] {
  const problems: string[] = [];
  if (config.roles.includes('control') && !config.catalog) problems.push('catalog.url: role "control" needs the catalog');
  if (config.roles.includes('control') && Object.keys(config.engines).length === 0) problems.push('engines: role "control" needs at least one engine');
  if (config.roles.includes('mover') && Object.keys(config.repositories).length === 0) problems.push('repositories: role "mover" needs at least one repository');
  if (config.roles.includes('appliance') && !config.appliance) problems.push('appliance: role "appliance" needs the engine and the VM id it runs in');
  if (config.roles.includes('appliance') && Object.keys(config.repositories).length === 0) problems.push('repositories: role "appliance" needs at least one repository');
  for (const [name, { awareness }] of Object.entries(config.engines)) {
    if (awareness.source === 'engine-database' && !awareness.database) problems.push(`engines.${name}.awareness.database: source "engine-database" needs the URL of the engine's database`);
  }
  return problems;
}

/** Reads a secret each time it is needed, so that a rotated password is picked up without a restart. */
export function readSecret(reference: SecretReference, environment: Environment = currentEnvironment()): string {
  if ('variable' in reference) {
    const value = environment[reference.variable];
    if (!value) throw new HoldfastError('config.invalid', `The variable ${reference.variable}, named in the configuration for a secret, is not set.`);
    return value;
  }
  const secret = readSecretFile(reference.file);
  if (!secret) throw new HoldfastError('config.invalid', `The secret file ${reference.file}, named in the configuration, is empty.`);
  return secret;
}

function readSecretFile(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new HoldfastError('config.invalid', `Cannot read the secret file ${file}, named in the configuration: ${(error as Error).message}.`, {}, { cause: error });
  }
}
