// What the benchmark `incremental` asks of the lab, one request a call, as JSON on stdout: somebody in front of it who makes VMs, lets their
// guests write, and counts at the engine and at its data daemon. A program of its own, because only HTTP leads into the lab.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { labUser } from '../main-job/lab-user.mjs';

const run = promisify(execFile);
const limitMs = 60_000;

async function until(what, look) {
  for (const endsAt = Date.now() + limitMs; ; await sleep(20)) {
    const found = await look();
    if (found) return found;
    if (Date.now() > endsAt) throw new Error(`waited ${limitMs / 1000} s in vain until ${what}`);
  }
}

/** A running VM with one disk that is tracked; `content`: a raw image. */
async function make(lab, { name, bytes, content, state }) {
  const { id } = await lab.engine('POST', '/vms', { name, cluster: { name: 'Default' }, template: { name: 'Blank' } });
  const wish = { alias: `${name}_Disk1`, provisioned_size: Number(bytes), format: 'cow', sparse: true, backup: 'incremental', storage_domains: { storage_domain: [{ name: 'data-1' }] } };
  const attachment = await lab.engine('POST', `/vms/${id}/diskattachments`, { disk: wish, interface: 'virtio_scsi', active: true });
  const disk = await until('the disk is made', async () => ((disk) => disk?.status === 'ok' && disk)(await lab.engine('GET', `/disks/${attachment.id}`)));
  if (content) await run('qemu-img', ['convert', '-n', '-W', '-f', 'raw', '-O', 'qcow2', content, join(state, 'sd', disk.storage_domains.storage_domain[0].id, 'images', disk.id, disk.image_id)]);
  await lab.bring(id, 'up');
  if (content) await until('the guest has mounted its disk', () => lab.guest(id, 'grep -c " /data/0 " /proc/mounts || true').then((text) => text.trim() === '1', () => false));
  return { vmId: id, diskId: disk.id };
}

/** A new file, durable in the guest. */
async function change(lab, { vm, bytes, name }) {
  await lab.guest(vm, `dd if=/dev/urandom of=/data/0/${name} bs=65536 count=${Number(bytes) / 65_536} 2>/dev/null && sync`);
  return {};
}

const transfersOf = async (lab, diskId) => ((await lab.engine('GET', '/imagetransfers'))?.image_transfer ?? []).filter(({ image }) => image?.id === diskId);

/** What the host lists as changed, while a transfer of the disk is open. */
async function dirty(lab, { disk, ca }) {
  const url = await until('a transfer of the disk is open', async () => (await transfersOf(lab, disk)).find(({ phase, transfer_url }) => phase === 'transferring' && transfer_url)?.transfer_url);
  const extents = JSON.parse(await get(`${url}/extents?context=dirty`, ca));
  return { bytes: extents.filter((extent) => extent.dirty).reduce((sum, { length }) => sum + length, 0) };
}

/** What the daemon's tickets of ended transfers of the disk count as read: each byte once. */
async function transferred(lab, { disk }) {
  return { transfers: (await transfersOf(lab, disk)).map(({ id, transferred: bytes }) => ({ id, bytes: Number(bytes ?? 0) })) };
}

async function remove(lab, { vm }) {
  await lab.removeWithDisks(vm);
  return {};
}

function get(url, caFile) {
  return new Promise((done, fail) => {
    const sent = request(url, { ca: readFileSync(caFile) }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk)).on('error', fail);
      response.on('end', () => (response.statusCode === 200 ? done(Buffer.concat(chunks).toString('utf8')) : fail(new Error(`the data daemon answered ${response.statusCode}`))));
    });
    sent.on('error', fail).end();
  });
}

const text = { type: 'string' };
const { positionals: [what], values } = parseArgs({ allowPositionals: true, options: { connection: text, state: text, name: text, bytes: text, content: text, vm: text, disk: text } });
const { caFile } = JSON.parse(readFileSync(values.connection, 'utf8'));
const answer = await { make, change, dirty, transferred, remove }[what](labUser(values.connection), { ...values, ca: caFile });
console.log(JSON.stringify(answer));
