// Types of dev/setup/browser.mjs, as far as tests use it.
export declare function ensureBrowser(options: { readonly cacheDir: string; readonly say: (line: string) => void; readonly isRoot?: boolean; readonly env?: NodeJS.ProcessEnv }): Promise<{ readonly path: string; readonly env: NodeJS.ProcessEnv }>;
