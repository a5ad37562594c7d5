// Types of dev/parts.mjs for tests, which import it with `await import('…/dev/parts.mjs')`.
import type { SetupResult } from './setup.mjs';

export type PartName = 'temporal' | 'postgres' | 'lab' | 'worker-control' | 'worker-appliance';

export interface Part {
  readonly name: string;
  readonly pid: number | undefined;
  readonly isRunning: boolean;
  /** After crash() or stop(): the same program again, with the same data and port; resolves when it serves. */
  start(): Promise<unknown>;
  stop(): Promise<void>;
  /** The signal and nothing else; it is not started again until start(). */
  crash(signal?: NodeJS.Signals): Promise<void>;
  logText(): string;
}

export interface MarkedProcess {
  readonly pid: number;
  readonly part: string;
  readonly command: string;
}

export interface RunningParts {
  readonly state: string;
  readonly temporal: { readonly address: string; readonly uiUrl: string; readonly namespace: string };
  /** Holds the password; other programs read it from `catalogUrlFile`. */
  readonly postgresUrl: string;
  readonly catalogUrlFile: string;
  /** The database of the lab's engine, as its reader: the log of engine backups and nothing else. */
  readonly engineReaderUrlFile: string;
  readonly lab: { readonly name: string; readonly url: string; readonly connectionFile: string; readonly controlSocket: string };
  readonly repository: { readonly name: string; readonly path: string };
  part(name: PartName): Part;
  /** Ends everything and returns what had outlived its part and had to be killed. Safe to call twice. */
  stop(): Promise<readonly MarkedProcess[]>;
}

export interface PartsOptions {
  readonly setup: Pick<SetupResult, 'env' | 'cacheDir'> & Partial<SetupResult>;
  /** Default: HOLDFAST_STATE, or .state in the checkout. */
  readonly state?: string;
  /** Default: all. `temporal`, `postgres` and `lab` are absent from the result when they are left out. */
  readonly only?: readonly ('temporal' | 'postgres' | 'lab' | 'workers')[];
  readonly ports?: 'auto' | 'file' | 'free';
  readonly say?: (line: string) => void;
  /** Start a part again when it dies by itself. Default: true. */
  readonly restart?: boolean;
  /** Without it Temporal survives its own death, and not the machine's. Default: true. */
  readonly flushes?: boolean;
  /** Temporal's data in memory: it survives nothing, at two thirds of the CPU. For tests that do not end it. Default: false. */
  readonly forgets?: boolean;
  readonly settingsFile?: string;
  readonly programs?: { readonly lab?: string; readonly worker?: string };
}

export declare const allParts: readonly string[];
export declare function startParts(options: PartsOptions): Promise<RunningParts>;
