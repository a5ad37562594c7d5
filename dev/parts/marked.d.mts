// Types of dev/parts/marked.mjs.
import type { MarkedProcess } from '../parts.mjs';

export declare function markedProcesses(state: string): readonly MarkedProcess[];
