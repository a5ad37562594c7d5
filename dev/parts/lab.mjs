// The embedded lab: the engine and host that Holdfast is tried on. Only its command line and its connection file are
// known here.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../setup/shell.mjs';
import { Part } from './process.mjs';

export const labProgram = join(checkout, 'dist', 'lab', 'main.js');

export function labArguments({ state, guestDir, cacheDir, port }) {
  return ['--state', join(state, 'lab'), '--guest', guestDir, '--cache', cacheDir, '--demo', '--port', String(port)];
}

export const connectionFileOf = (state) => join(state, 'lab', 'connection.json');

export function createLab({ state, guestDir, cacheDir, settings, env, say, restart, program = labProgram }) {
  return {
    connectionFile: connectionFileOf(state),
    part: new Part({
      name: 'lab', state, env, say, restart, command: process.execPath, args: [program, ...labArguments({ state, guestDir, cacheDir, port: settings.ports.lab })], logFile: join(state, 'logs', 'lab.log'),
      // The first start boots the guest once to save its state and fills the demo's disks.
      readySeconds: 300, graceSeconds: 45,
      isReady: async (part) => (existsSync(connectionFileOf(state)) ? part.readyLine() : undefined),
      remedy: `read the log; a damaged lab is made anew after removing ${join(state, 'lab')} (its VMs are lost)`,
    }),
  };
}

export const readConnection = (state) => JSON.parse(readFileSync(connectionFileOf(state), 'utf8'));
