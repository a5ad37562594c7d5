// Types of dev/setup/debian-packages.mjs, as far as tests use it.
export declare function ensureGroup(packages: Readonly<Record<string, string | undefined>>, options: { readonly cacheDir: string; readonly say: (line: string) => void; readonly isRoot: boolean }): Promise<string | undefined>;
export declare function unpackedEnvironment(root: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv;
