// Types of dev/setup/npm-packages.mjs, as far as tests use it.
export declare function npmDifference(root?: string): string | undefined;
export declare function ensurePostgresLinks(say: (line: string) => void, root?: string): Promise<void>;
