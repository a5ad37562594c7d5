// Types of dev/setup/shell.mjs, as far as tests use it.
export declare const checkout: string;
export declare function withLock<T>(file: string, say: (line: string) => void, work: () => Promise<T>): Promise<T>;
