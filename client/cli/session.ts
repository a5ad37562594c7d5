// What every command shares: the common options, the configuration, one connection that is opened when it is needed and closed at the end.
import type { Command } from 'commander';
import { HoldfastClient } from '../holdfast-client';
import { resolveConfig, stateDirectories } from '../config';
import type { ClientConfig } from '../config';
import { HoldfastClientError } from '../errors';
import type { Io } from './io';
import { printError } from './print-error';

export interface CommonOptions {
  readonly address?: string;
  readonly namespace?: string;
  readonly uiUrl?: string;
  readonly engine?: string;
  readonly repository?: string;
  readonly json?: boolean;
}

export class Session {
  readonly config: ClientConfig;
  readonly json: boolean;
  #client: HoldfastClient | undefined;

  constructor(
    readonly io: Io,
    options: CommonOptions,
  ) {
    this.json = options.json === true;
    this.config = resolveConfig(options, io.environment, stateDirectories(io.environment, io.cwd, io.programRoot));
  }

  async client(): Promise<HoldfastClient> {
    if (this.#client) return this.#client;
    const { address, namespace, uiUrl } = this.config;
    try {
      this.#client = await HoldfastClient.connect({ address, namespace, ...(uiUrl === undefined ? {} : { uiUrl }) });
    } catch (error) {
      // The address may come from a file of embedded parts that have ended: say so.
      if (error instanceof HoldfastClientError && error.code === 'client.unreachable') {
        throw new HoldfastClientError(error.code, `${error.message} (This address comes from ${this.config.addressFrom}.)`, error.details, { cause: error });
      }
      throw error;
    }
    return this.#client;
  }

  engine(): string {
    return required(this.config.engine, 'an engine', '--engine', 'HOLDFAST_ENGINE');
  }

  repository(): string {
    return required(this.config.repository, 'a repository', '--repository', 'HOLDFAST_REPOSITORY');
  }

  /** One JSON document for programs, or text for people: never both on stdout. */
  print(document: unknown, text: () => string): void {
    this.io.out(this.json ? `${JSON.stringify(document, undefined, 2)}\n` : text());
  }

  async close(): Promise<void> {
    await this.#client?.close();
  }
}

function required(value: string | undefined, what: string, flag: string, variable: string): string {
  if (value !== undefined) return value;
  throw new HoldfastClientError('input.invalid', `This command needs ${what}: name it with ${flag} or ${variable} (a name from the workers' configuration).`);
}

/** Gives the exit code. */
export type Action = (session: Session) => Promise<number>;

export async function runSession(io: Io, options: CommonOptions, action: Action): Promise<number> {
  let session: Session | undefined;
  try {
    session = new Session(io, options);
    return await action(session);
  } catch (error) {
    return printError(io, error, options.json === true);
  } finally {
    await session?.close();
  }
}

/** What a command module gets: the streams, and where to put the exit code. */
export interface Host {
  readonly io: Io;
  readonly exitWith: (code: number) => void;
}

/** A subcommand with the options that all have, and its example below the help. */
export function leaf(parent: Command, nameAndArguments: string, description: string, example: string): Command {
  return parent
    .command(nameAndArguments)
    .description(description)
    .option('--address <host:port>', 'Temporal\'s address (HOLDFAST_TEMPORAL_ADDRESS)')
    .option('--namespace <name>', 'Temporal namespace (HOLDFAST_TEMPORAL_NAMESPACE)')
    .option('--ui-url <url>', 'Temporal\'s UI, for links (HOLDFAST_TEMPORAL_UI)')
    .option('--json', 'one JSON document on stdout')
    .addHelpText('after', `\nExample:\n${example.split('\n').map((line) => `  $ ${line}`).join('\n')}`);
}
