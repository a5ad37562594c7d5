// What a worker stands on: Node, programs, database, Temporal, devices directory. Pure.
import { ok, problem, warning, type Judgement } from './checks';

/** Dotted versions: negative when `one` is older. */
export function compareVersions(one: string, other: string): number {
  const parts = (text: string): number[] => text.split('.').map(Number);
  const [left, right] = [parts(one), parts(other)];
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** package.json, `engines`. */
export const leastNode = '20.19.0';

export function judgeNode(version: string): Judgement {
  return compareVersions(version, leastNode) >= 0 ? ok(`Node ${version}`) : problem(`Node ${version} is older than ${leastNode}`);
}

export interface ProgramFacts {
  readonly program: NeededProgram;
  /** undefined: it could not be run, or said no version. */
  readonly version: string | undefined;
  /** Why there is no version. */
  readonly reason?: string;
}

/** setpriv has --pdeathsig since 2.33; image servers would outlive their worker without it. */
export const neededPrograms = { 'qemu-img': undefined, 'qemu-nbd': undefined, setpriv: '2.33' } as const satisfies Readonly<Record<string, string | undefined>>;
export type NeededProgram = keyof typeof neededPrograms;

export function judgePrograms(programs: readonly ProgramFacts[]): Judgement {
  const missing = programs.filter(({ version }) => version === undefined).map(({ program, reason }) => `${program} (${reason ?? 'says no version'})`);
  if (missing.length > 0) return problem(`missing: ${missing.join(', ')}`);
  const old = programs.filter(({ program, version }) => isOlder(version ?? '', neededPrograms[program]));
  if (old.length > 0) return problem(`too old: ${old.map(({ program, version }) => `${program} ${version ?? ''} (needs ${neededPrograms[program] ?? ''})`).join(', ')}`);
  const [image, server] = ['qemu-img', 'qemu-nbd'].map((name) => programs.find(({ program }) => program === name)?.version);
  const text = programs.map(({ program, version }) => `${program} ${version ?? ''}`).join(', ');
  return image === server ? ok(text) : warning(`${text}: qemu-img and qemu-nbd are of different versions`, 'Install both from the same package.');
}

function isOlder(version: string, least: string | undefined): boolean {
  return least !== undefined && compareVersions(version, least) < 0;
}

export const leastPostgres = 14;

/** `server_version_num`: 150018 is 15.18. */
export function judgePostgres(versionNumber: number): Judgement {
  const major = Math.floor(versionNumber / 10_000);
  const text = `PostgreSQL ${major}.${versionNumber % 10_000}`;
  return major >= leastPostgres ? ok(text) : problem(`${text} is older than ${leastPostgres}`);
}

export function judgeMigrations({ schemaVersion, knownVersion }: { readonly schemaVersion: number; readonly knownVersion: number }): Judgement {
  if (schemaVersion === knownVersion) return ok(`schema version ${schemaVersion}`);
  return problem(`the catalog has schema version ${schemaVersion}, this worker knows ${knownVersion}`, schemaVersion > knownVersion ? 'Upgrade this worker: another one has brought the catalog further.' : undefined);
}

export interface NamespaceFacts {
  readonly name: string;
  readonly state: 'registered' | 'deprecated' | 'deleted' | 'unknown';
  readonly retentionDays: number;
}

export function judgeNamespace({ name, state, retentionDays }: NamespaceFacts): Judgement {
  const text = `namespace ${name} is ${state} and keeps ended runs for ${retentionDays} ${retentionDays === 1 ? 'day' : 'days'}`;
  return state === 'registered' ? ok(text) : problem(text);
}

export function judgeSearchAttributes(expected: Readonly<Record<string, string>>, registered: Readonly<Record<string, string>>, namespace: string): Judgement {
  const missing = Object.keys(expected).filter((name) => !(name in registered));
  const wrong = Object.entries(expected).filter(([name, type]) => name in registered && registered[name] !== type);
  if (missing.length === 0 && wrong.length === 0) return ok(`all ${Object.keys(expected).length} are registered`);
  const words = [
    ...(missing.length === 0 ? [] : [`missing: ${missing.join(', ')}`]),
    ...wrong.map(([name, type]) => `${name} is ${registered[name] ?? ''} instead of ${type}`),
  ];
  const commands = missing.map((name) => `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type ${expected[name] ?? ''}`);
  return problem(words.join('; '), commands.length === 0 ? undefined : `Register them:\n${commands.join('\n')}`);
}

export function judgeDevices(directory: string, state: 'directory' | 'missing' | 'unreadable' | 'not-a-directory'): Judgement {
  return state === 'directory' ? ok(directory) : problem(`${directory}: ${state === 'missing' ? 'there is no such directory' : state === 'unreadable' ? 'the worker may not read it' : 'it is not a directory'}`);
}

export interface ApplianceRepositoryFacts {
  readonly name: string;
  /** Of its marker file; undefined when it has none. */
  readonly id: string | undefined;
  /** What the mover found; undefined when no mover was asked. */
  readonly moverId: string | undefined;
  /** Why it cannot be written to. */
  readonly failure?: string;
}

export function judgeApplianceRepository({ id, moverId, failure }: ApplianceRepositoryFacts): Judgement {
  if (failure !== undefined) return problem(failure);
  if (moverId !== undefined && id !== moverId) return problem(`it is another directory than the mover's (repository id ${id ?? 'none'} instead of ${moverId}): perhaps the mount is missing in the appliance`);
  return ok(moverId === undefined ? `writable, id ${id ?? 'none'} (no mover to compare with)` : 'writable, and the same as the mover\'s');
}
