// Types of dev/parts/marked.mjs.
import type { MarkedProcess } from '../parts.mjs';

export declare function markedProcesses(state: string): readonly MarkedProcess[];
export declare const markVariable: string;
export declare function markOf(part: string, state: string): string;
