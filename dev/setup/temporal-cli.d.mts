// Types of dev/setup/temporal-cli.mjs.
export declare const temporalVersion: string;
export declare function ensureTemporalCli(options: { readonly cacheDir: string; readonly say: (line: string) => void }): Promise<{ readonly path: string; readonly origin: string }>;
