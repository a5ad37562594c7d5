// The embedded Temporal dev server: data in a file, so that runs survive its death; UI on; loopback only.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { Part } from './process.mjs';
import { temporalArguments } from './settings.mjs';

/** Serves when the namespace answers and every search attribute is known to it. */
async function isServing(address, { namespace, searchAttributes }) {
  let connection;
  try {
    connection = await Connection.connect({ address, connectTimeout: 1000 });
    await connection.workflowService.describeNamespace({ namespace });
    const known = (await connection.operatorService.listSearchAttributes({ namespace })).customAttributes;
    return searchAttributes.every((attribute) => attribute.split('=')[0] in known);
  } catch {
    return false; // Not yet: the deadline of the start decides.
  } finally {
    await connection?.close();
  }
}

export function createTemporal({ state, temporalCli, settings, env, say, restart, flushes, forgets }) {
  const directory = join(state, 'temporal');
  const address = `127.0.0.1:${settings.ports.temporal}`;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return {
    address,
    uiUrl: `http://127.0.0.1:${settings.ports.temporalUi}`,
    namespace: settings.namespace,
    part: new Part({
      name: 'temporal', state, env, say, restart, command: temporalCli, args: temporalArguments(settings, forgets ? undefined : join(directory, 'temporal.db'), { flushes }), logFile: join(state, 'logs', 'temporal.log'),
      isReady: () => isServing(address, settings),
      remedy: `if its database is damaged, remove ${directory} (runs are lost, backups are not); if a port is taken, start with --ports free`,
    }),
  };
}
