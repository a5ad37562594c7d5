// What somebody in front of the lab can do: ask the engine over its REST API, and type commands in a guest (the lab's control socket; a
// real oVirt has no such call, there one would use ssh or the console).
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

function send(start, url, options, body) {
  return new Promise((resolve, reject) => {
    const sent = start(url, { ...options, timeout: 300_000 }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString('utf8') }));
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer from ${url}`)));
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

export function labUser(connectionFile) {
  const { url, username, password, caFile, controlSocket } = JSON.parse(readFileSync(connectionFile, 'utf8'));
  const headers = { accept: 'application/json', 'content-type': 'application/json', authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
  const ca = readFileSync(caFile);

  async function engine(method, path, body) {
    const { status, text } = await send(httpsRequest, `${url}${path}`, { method, headers, ca }, body);
    if (status === 404) return undefined;
    if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${text.slice(0, 400)}`);
    return text === '' ? {} : JSON.parse(text);
  }

  async function guest(vmId, script, timeoutMs = 120_000) {
    const options = { method: 'POST', socketPath: controlSocket, headers: { 'content-type': 'application/json' } };
    const { status, text } = await send(httpRequest, `http://lab/vms/${vmId}/guest-exec`, options, { script, timeoutMs });
    if (status !== 200) throw new Error(`the guest of VM ${vmId} could not run a command (${status}): ${text.slice(0, 400)}`);
    const { exitCode, output } = JSON.parse(text);
    if (exitCode !== 0) throw new Error(`a command in the guest of VM ${vmId} ended with ${exitCode}: ${output.slice(0, 400)}`);
    return output;
  }

  const findVm = async (name) => (await engine('GET', `/vms?search=${encodeURIComponent(`name=${name}`)}`))?.vm?.[0];

  async function waitForStatus(vmId, wanted, seconds = 120) {
    for (const endsAt = Date.now() + seconds * 1000; ; await sleep(200)) {
      const status = (await engine('GET', `/vms/${vmId}`))?.status ?? 'gone';
      if (status === wanted) return;
      if (Date.now() > endsAt) throw new Error(`VM ${vmId} is still ${status} after ${seconds} s instead of ${wanted}`);
    }
  }

  /** A VM on its way up or down is left to get there: the engine refuses a second request meanwhile. */
  async function bring(vmId, wanted) {
    const { status } = await engine('GET', `/vms/${vmId}`);
    if (wanted === 'up' && status === 'down') await engine('POST', `/vms/${vmId}/start`, {});
    if (wanted === 'down' && status === 'up') await engine('POST', `/vms/${vmId}/shutdown`, {});
    await waitForStatus(vmId, wanted);
  }

  /** Removes a VM with its disks, as an administrator would before asking for the same name again. */
  async function removeWithDisks(vmId) {
    const { status } = await engine('GET', `/vms/${vmId}`);
    if (status !== 'down') {
      await engine('POST', `/vms/${vmId}/stop`, {});
      await waitForStatus(vmId, 'down');
    }
    await engine('DELETE', `/vms/${vmId}`);
    await waitForStatus(vmId, 'gone');
  }

  return { engine, guest, findVm, bring, waitForStatus, removeWithDisks };
}
