// `npm run bench -- copy|overhead|incremental|awareness`: set-up, the parts that the benchmark needs, then its program in dist/bench. What is measured, and how,
// is there; bench/README.md says how to read it.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { reportAndFail, setup } from './setup.mjs';
import { checkout } from './setup/shell.mjs';

const usage = 'usage: npm run bench -- copy|overhead|incremental|awareness [options]\n  copy      our copy beside qemu-img, nbdcopy and virtnbdbackup (--rounds, --small, --dir, --json, --only, --profile)\n  overhead  a whole backup of a VM with an empty disk (--rounds, --json)\n  incremental  what a small change costs beside a full backup by image transfers (--rounds, --small, --dir, --json)\n  awareness  how long the backups of 100,000 VMs are judged (--rounds, --small, --json)';
const say = (line) => console.error(line);

/** Its output is ours; resolves to its exit code. A signal reaches it too, and it cleans up by itself. */
function show(program, args, env) {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [join(checkout, 'dist', 'bench', program), ...args], { env, stdio: 'inherit' });
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
    child.once('error', fail);
    child.once('close', (code) => done(code ?? 1));
  });
}

async function emptyVm(lab, name) {
  const { id } = await lab.engine('POST', '/vms', { name, cluster: { name: 'Default' }, template: { name: 'Blank' } });
  const disk = { alias: `${name}_Disk1`, provisioned_size: 1024 ** 3, format: 'cow', sparse: true, storage_domains: { storage_domain: [{ name: 'data-1' }] } };
  const attachment = await lab.engine('POST', `/vms/${id}/diskattachments`, { disk, interface: 'virtio_scsi', active: true });
  while ((await lab.engine('GET', `/disks/${attachment.id}`))?.status !== 'ok') await sleep(100);
  return id;
}

/** The whole stack, or a part of it, and `work` on it. */
async function withParts(work, { want, only } = {}) {
  const ready = await setup({ say, ...(want && { want }) });
  const { startParts } = await import('./parts.mjs'); // It needs npm packages, which set-up has brought by now.
  const { labUser } = await import('./main-job/lab-user.mjs');
  const state = mkdtempSync(join(tmpdir(), 'hf-bench-'));
  say(`starting ${only ? only.join(', ') : 'Temporal, PostgreSQL, the lab and the workers'}`);
  const parts = await startParts({ state, ports: 'free', setup: ready, ...(only && { only }) });
  try {
    if (only) return await work({ ready, state, parts });
    const stage = { address: parts.temporal.address, namespace: parts.temporal.namespace, engine: parts.lab.name, repository: parts.repository.name };
    return await work({ ready, state, parts, lab: labUser(parts.lab.connectionFile), stage });
  } finally {
    await parts.stop();
    rmSync(state, { recursive: true, force: true });
  }
}

const asOptions = (values) => Object.entries(values).map(([name, value]) => `--${name}=${value}`);

const overhead = (args) => withParts(async ({ ready, lab, stage }) => {
  const vms = { stopped: await emptyVm(lab, 'bench-stopped'), running: await emptyVm(lab, 'bench-running') };
  await lab.bring(vms.running, 'up');
  return show('overhead/main.js', [...asOptions({ ...stage, vms: JSON.stringify(vms) }), ...args], ready.env);
});

const incremental = (args) => withParts(({ ready, state, parts, stage }) => show('incremental/main.js', [...asOptions({ ...stage, connection: parts.lab.connectionFile, labState: join(state, 'lab') }), ...args], ready.env));

const awareness = (args) => withParts(({ ready, parts }) => show('awareness/main.js', [...asOptions({ 'catalog-file': parts.catalogUrlFile }), ...args], ready.env), { want: ['npm', 'build'], only: ['postgres'] });

async function main() {
  const [benchmark, ...args] = process.argv.slice(2);
  if (benchmark === 'overhead') return overhead(args);
  if (benchmark === 'incremental') return incremental(args);
  if (benchmark === 'awareness') return awareness(args);
  if (benchmark === 'copy') return show('copy/main.js', args, (await setup({ want: ['npm', 'debian', 'build'], say })).env);
  console.error(usage);
  return 2;
}

main().then((code) => process.exit(code), (error) => {
  reportAndFail(error);
  process.exit();
});
