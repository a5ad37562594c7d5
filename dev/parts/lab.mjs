// The embedded lab: the engine and host that Holdfast is tried on. Only its command line and its connection file are
// known here.
import { existsSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { Problem, checkout } from '../setup/shell.mjs';
import { Part } from './process.mjs';

export const labProgram = join(checkout, 'dist', 'lab', 'main.js');

export function labArguments({ state, guestDir, cacheDir, port }) {
  return ['--state', join(state, 'lab'), '--guest', guestDir, '--cache', cacheDir, '--demo', '--stop-vms-on-exit', '--port', String(port)];
}

export const connectionFileOf = (state) => join(state, 'lab', 'connection.json');

export function createLab({ state, guestDir, cacheDir, settings, env: given, say, restart, program = labProgram, engineDatabaseUrl }) {
  const env = engineDatabaseUrl === undefined ? given : { ...given, HOLDFAST_LAB_ENGINE_DATABASE: engineDatabaseUrl };
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

/** @returns {{ url: string, username: string, password: string, caFile: string, controlSocket: string, imageioPort?: number }} */
export const readConnection = (state) => JSON.parse(readFileSync(connectionFileOf(state), 'utf8'));

function askControl(socketPath, path) {
  return new Promise((done, fail) => {
    const request = get({ socketPath, path }, (response) => {
      let text = '';
      response.on('data', (data) => { text += data; });
      response.on('end', () => (response.statusCode === 200 ? done(JSON.parse(text)) : fail(new Error(`the lab's control socket answered ${response.statusCode} to ${path}: ${text}`))));
      response.on('error', fail);
    });
    request.on('error', fail);
  });
}

/** The demo's appliance, and where the lab serves its disks by serial: what a worker in a real appliance knows from its own machine. */
export async function findAppliance({ controlSocket }) {
  const { vms } = await askControl(controlSocket, '/state');
  const appliance = vms.find(({ name }) => name === 'appliance');
  if (!appliance) throw new Problem('the lab has no VM named appliance', 'remove the lab\'s state directory: the demo is made anew at its first start');
  return { vmId: appliance.id, devices: appliance.devicesDirectory };
}
