// Types of dev/parts/free-port.mjs.
import type { Server } from 'node:net';

export declare function bind(port: number): Promise<Server>;
export declare function bindFree(): Promise<Server>;
export declare function letGo(server: Server): Promise<void>;
