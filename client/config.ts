// Where the client finds Temporal, and its default engine and repository. Flags win over variables, variables over the file that running
// embedded parts leave behind. The only file of client/ that reads process.env.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { defaultEndpoint } from './connect';
import { HoldfastClientError } from './errors';

export type Environment = Readonly<Record<string, string | undefined>>;

export function currentEnvironment(): Environment {
  return process.env;
}

/** Every variable that the client reads; docs/operators.md lists them and a test compares. */
export const clientVariables = {
  HOLDFAST_TEMPORAL_ADDRESS: 'Temporal\'s address, host:port',
  HOLDFAST_TEMPORAL_NAMESPACE: 'Temporal namespace',
  HOLDFAST_TEMPORAL_UI: 'base address of Temporal\'s UI, for links',
  HOLDFAST_ENGINE: 'default of --engine',
  HOLDFAST_REPOSITORY: 'default of --repository',
  HOLDFAST_STATE: 'state directory of the embedded parts; default: .state here or beside the program',
} as const;

export interface ClientFlags {
  readonly address?: string;
  readonly namespace?: string;
  readonly uiUrl?: string;
  readonly engine?: string;
  readonly repository?: string;
}

export interface ClientConfig {
  readonly address: string;
  readonly namespace: string;
  readonly uiUrl: string | undefined;
  readonly engine: string | undefined;
  readonly repository: string | undefined;
  /** Where the address came from, for messages. */
  readonly addressFrom: string;
}

/** What `holdfast up` and `npm start -- --keep` write while they run (dev/parts.mjs). Other keys are not ours. */
const partsSchema = z.object({
  launcherPid: z.number().optional(),
  temporal: z.object({ address: z.string(), namespace: z.string(), uiUrl: z.string().optional() }).optional(),
  lab: z.object({ name: z.string() }).optional(),
  repository: z.object({ name: z.string() }).optional(),
});
export type Parts = z.infer<typeof partsSchema>;

export function partsFileOf(stateDirectory: string): string {
  return path.join(stateDirectory, 'parts.json');
}

/** State directories in which embedded parts may run, most particular first. */
export function stateDirectories(environment: Environment, cwd: string, programRoot: string): readonly string[] {
  const named = environment['HOLDFAST_STATE'];
  return named ? [path.resolve(cwd, named)] : [...new Set([path.join(cwd, '.state'), path.join(programRoot, '.state')])];
}

export function readParts(file: string): Parts | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return partsSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new HoldfastClientError('config.invalid', `${file}, left by the embedded parts, cannot be read: ${(error as Error).message}. Name the server with --address, or remove the file.`, { file }, { cause: error });
  }
}

export function resolveConfig(flags: ClientFlags, environment: Environment, directories: readonly string[]): ClientConfig {
  const address = flags.address ?? nonEmpty(environment['HOLDFAST_TEMPORAL_ADDRESS']);
  // Somebody who names a server does not mean the embedded one: its namespace, engine and repository would mislead.
  const file = address === undefined ? directories.map(partsFileOf).find((candidate) => existsSync(candidate)) : undefined;
  const parts = file === undefined ? undefined : readParts(file);
  const [found, from] = address !== undefined ? [address, flags.address === undefined ? 'HOLDFAST_TEMPORAL_ADDRESS' : '--address'] : parts?.temporal && file ? [parts.temporal.address, file] : [defaultEndpoint.address, 'the default'];
  return {
    address: found,
    addressFrom: from,
    namespace: flags.namespace ?? nonEmpty(environment['HOLDFAST_TEMPORAL_NAMESPACE']) ?? parts?.temporal?.namespace ?? defaultEndpoint.namespace,
    uiUrl: flags.uiUrl ?? nonEmpty(environment['HOLDFAST_TEMPORAL_UI']) ?? parts?.temporal?.uiUrl,
    engine: flags.engine ?? nonEmpty(environment['HOLDFAST_ENGINE']) ?? parts?.lab?.name,
    repository: flags.repository ?? nonEmpty(environment['HOLDFAST_REPOSITORY']) ?? parts?.repository?.name,
  };
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}
