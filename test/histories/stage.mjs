// What a case is played on: a Temporal client that knows the published schemas and nothing else of Holdfast, and the lab's user.
import { readdirSync, readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { labUser } from '../../dev/main-job/lab-user.mjs';
import { findAppliance, readConnection } from '../../dev/parts/lab.mjs';
import { checkout } from '../../dev/setup/shell.mjs';

/** A client's own identity is `<pid>@<host name>`, and lands in the history. */
const identity = 'history-recorder';
const deadlineSeconds = 120;
const schemas = join(import.meta.dirname, '..', '..', 'docs', 'schema');

/** @typedef {Awaited<ReturnType<typeof openRecordingStage>>} RecordingStage */

export async function openRecordingStage({ state, parts }) {
  const connection = await Connection.connect({ address: parts.temporal.address });
  const client = new Client({ connection, namespace: parts.temporal.namespace, identity });
  const lab = labUser(parts.lab.connectionFile);
  const { devices } = await findAppliance(readConnection(state));
  const [demo, appliance] = await Promise.all(['demo', 'appliance'].map((name) => lab.findVm(name)));
  const start = (flow, input) => startFlow(client, flow, input);
  return {
    client,
    lab,
    demo,
    appliance,
    devices,
    start,
    fault: (fault) => inject(readConnection(state).controlSocket, fault),
    untilProgress,
    ended,
    places: placesOf(state, devices),
    engine: parts.lab.name,
    repository: parts.repository.name,
    run: async (flow, input) => ended(await start(flow, input)),
    close: () => connection.close(),
  };
}

/**
 * What stands in a history for what is of this machine: its directories, and its name where a worker tells it. Labs keep their sockets in
 * directories of their own under the system's.
 */
function placesOf(state, devices) {
  const labs = readdirSync(tmpdir())
    .filter((name) => name.startsWith('hf-lab-'))
    .map((name) => [join(tmpdir(), name), '/run/holdfast-lab']);
  return {
    ...Object.fromEntries(labs),
    [state]: '/var/lib/holdfast',
    [devices]: '/dev/disk/by-id',
    [checkout]: '/opt/holdfast',
    [` on ${hostname()}, pid `]: ' on recorder, pid ',
  };
}

/** As docs/isv.md says: everything that starting needs is in the flow's document. */
function startFlow(client, flow, input) {
  const published = JSON.parse(readFileSync(join(schemas, `${flow}.json`), 'utf8'));
  // Under the lock of the VM where the flow has two kinds of ids and the input says which.
  const { workflowId: template, idReusePolicy = published.workflowIdReusePolicy } =
    input.as === undefined ? published : published.workflowIdElse;
  const workflowId = template.replace(/<(\w+)>/g, (_, field) => input[field] ?? randomUUID());
  return client.workflow.start(published.workflowType, {
    workflowId,
    taskQueue: published.taskQueue,
    args: [input],
    workflowIdConflictPolicy: 'FAIL',
    workflowIdReusePolicy: idReusePolicy,
  });
}

/** One of the lab's own faults (lab/README.md), by its control socket: it happens now. */
function inject(socketPath, fault) {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method: 'POST', path: '/faults' }, (response) => {
      response.resume();
      response.on('end', () => (response.statusCode === 201 ? resolve() : reject(new Error(`the lab answered ${response.statusCode} to the fault ${fault.kind}`))));
    });
    sent.on('error', reject);
    sent.end(JSON.stringify(fault));
  });
}

async function untilProgress(handle, what, holds) {
  for (const endsAt = performance.now() + deadlineSeconds * 1000; ; await sleep(100)) {
    const progress = await handle.query('progress');
    if (holds(progress)) return progress;
    if (performance.now() > endsAt)
      throw new Error(`${handle.workflowId}: not within ${deadlineSeconds} s: ${what}; it is ${JSON.stringify(progress)}`);
  }
}

/** However it ended: that is the case's own business. */
async function ended(handle) {
  await handle.result().catch(() => undefined);
  return handle;
}
