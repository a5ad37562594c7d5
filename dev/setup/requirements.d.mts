// Types of dev/setup/requirements.mjs, as far as tests use it.
export declare function nodeProblem(version?: string): string | undefined;
