// Types of dev/setup.mjs.
export type SetupStep = 'npm' | 'debian' | 'temporal' | 'guest' | 'build' | 'imageio' | 'venv' | 'browser';

export interface SetupResult {
  readonly cacheDir: string;
  /** For every child: finds what the set-up brought. */
  readonly env: NodeJS.ProcessEnv;
  readonly secondsByStep: Readonly<Record<string, number>>;
  readonly temporalCli?: string;
  readonly temporalOrigin?: string;
  readonly guestDir?: string;
  readonly venvPython?: string;
  /** Its own environment: the libraries unpacked for it are nobody else's. */
  readonly browser?: { readonly path: string; readonly env: NodeJS.ProcessEnv };
}

export declare const usualWants: readonly SetupStep[];
export declare function setup(options?: { readonly want?: readonly SetupStep[]; readonly say?: (line: string) => void }): Promise<SetupResult>;
