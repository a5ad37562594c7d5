// The embedded workers: one for control and moving, one that plays the worker inside the appliance. The only place that
// writes worker configuration; its schema is worker/config.ts.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../setup/shell.mjs';
import { Part } from './process.mjs';
import { secretFile } from './postgres.mjs';

export const workerProgram = join(checkout, 'dist', 'worker', 'main.js');
export const repositoryOf = (state) => join(state, 'repository');

/** The lab's names in a worker's configuration. */
export const engineName = 'lab';
export const repositoryName = 'main';

/** @returns {Record<'control'|'appliance', object>} the two configurations, as worker/config.ts wants them */
export function workerConfigs({ state, temporal, catalogUrlFile, connection, appliance, passwordFile }) {
  const common = {
    temporal: { address: temporal.address, namespace: temporal.namespace },
    repositories: { [repositoryName]: { path: repositoryOf(state) } },
  };
  const engine = {
    url: connection.url,
    username: connection.username,
    password: { file: passwordFile },
    caFile: connection.caFile,
    appliances: [appliance.vmId],
    // A lab without a data daemon tells no port.
    ...(connection.imageioPort === undefined ? {} : { imageio: { port: connection.imageioPort } }),
  };
  return {
    control: { roles: ['control', 'mover'], ...common, catalog: { url: { file: catalogUrlFile } }, engines: { [engineName]: engine } },
    appliance: { roles: ['appliance'], ...common, appliance: { engine: engineName, vmId: appliance.vmId, devices: appliance.devices } },
  };
}

export function writeWorkerConfigs({ state, temporal, catalogUrlFile, connection, appliance }) {
  const passwordFile = secretFile(state, 'engine-password');
  writeFileSync(passwordFile, `${connection.password}\n`, { mode: 0o600 });
  if (!existsSync(repositoryOf(state))) mkdirSync(repositoryOf(state), { mode: 0o700 });
  const configs = workerConfigs({ state, temporal, catalogUrlFile, connection, appliance, passwordFile });
  return Object.fromEntries(Object.entries(configs).map(([name, config]) => {
    const file = join(state, `worker-${name}.json`);
    writeFileSync(file, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
    return [name, file];
  }));
}

export function createWorker({ name, configFile, state, env, say, restart, program = workerProgram }) {
  return new Part({
    name: `worker-${name}`, state, env, say, restart, command: process.execPath, args: [program, '--config', configFile], logFile: join(state, 'logs', `worker-${name}.log`),
    // A worker lets its activities come to a safe point first (shutdownGraceSeconds, 20 by default).
    readySeconds: 120, graceSeconds: 40,
    isReady: async (part) => part.readyLine(),
    remedy: `read the log; the configuration is ${configFile}`,
  });
}
