// The content of the guest's initramfs as a reproducible cpio archive: busybox, qemu-ga with its libraries, a handful of
// kernel modules in load order, and the scripts below. Same inputs give the same bytes; needs neither root nor cpio.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { reseedProgram } from './guest-reseed.mjs';

const modules = ['virtio_pci', 'virtio_console', 'virtio_blk', 'virtio_scsi', 'sd_mod', 'virtio_rng', 'button', 'evdev'];

const init = `#!/bin/sh
export PATH=/bin:/sbin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
for module in $(cat /lib/modules/order); do insmod /lib/modules/$module; done
mkdir -p /dev/virtio-ports
tries=0
while [ ! -e /dev/virtio-ports/org.qemu.guest_agent.0 ] && [ $tries -lt 250 ]; do
  for port in /sys/class/virtio-ports/*; do
    name=$(cat $port/name 2>/dev/null); [ -n "$name" ] && ln -sf ../\${port##*/} /dev/virtio-ports/$name
  done
  tries=$((tries+1)); sleep 0.02
done
acpid -l /run/acpid.log 2>/dev/null
# Whoever wants a guest without an agent creates /run/no-agent and kills qemu-ga.
( while [ ! -e /run/no-agent ]; do
    qemu-ga -m virtio-serial -p /dev/virtio-ports/org.qemu.guest_agent.0 -t /run -F/etc/qemu/fsfreeze-hook -l /run/qemu-ga.log </dev/null >/dev/null 2>&1
    sleep 0.5
  done ) &
echo "LAB-GUEST-READY $(cut -d' ' -f1 /proc/uptime)"
while :; do sleep 3600; done
`;

/** qemu-ga and acpid both end here. The file systems are unmounted first, so a guest that shut down left clean disks. */
const shutdown = `#!/bin/sh
export PATH=/bin:/sbin
sync
for mountpoint in $(awk '$2 ~ "^/data/" { print $2 }' /proc/mounts); do umount $mountpoint 2>/dev/null || umount -r $mountpoint 2>/dev/null; done
sync
poweroff -f
`;

/** What qemu-ga calls around a freeze; the log and the drop-in directory let tests and pre/post scripts see it. */
const fsfreezeHook = `#!/bin/sh
export PATH=/bin:/sbin
echo "$(date +%s) $1" >> /run/fsfreeze-hook.log
for script in /run/fsfreeze-hook.d/*; do [ -x "$script" ] && "$script" "$1"; done
exit 0
`;

/** Prints the block device with this serial: whole for SCSI, its first 20 characters for virtio-blk. Waits for it, 10 s by default. */
const diskBySerial = `#!/bin/sh
limit=\${2:-10}; end=$(( $(cut -d. -f1 /proc/uptime) + limit )); short=$(echo "$1" | cut -c1-20)
while :; do
  for block in /sys/block/sd* /sys/block/vd*; do
    [ -e "$block" ] || continue
    case $block in
      */sd*) serial=$(tail -c +5 $block/device/vpd_pg80 2>/dev/null); [ "$serial" = "$1" ] || continue ;;
      *) serial=$(cat $block/serial 2>/dev/null); [ "$serial" = "$short" ] || continue ;;
    esac
    [ -b /dev/\${block##*/} ] && echo /dev/\${block##*/} && exit 0
  done
  [ $(cut -d. -f1 /proc/uptime) -ge $end ] && exit 1
  sleep 0.02
done
`;

export function buildInitramfs({ tools, modulesDir, env }) {
  const tree = new Map(); // path -> { mode, content } for files, { link } for symbolic links
  const file = (name, content, mode = 0o755) => tree.set(name, { mode: 0o100000 | mode, content: Buffer.from(content) });
  const link = (name, target) => tree.set(name, { mode: 0o120777, content: Buffer.from(target) });

  file('init', init);
  file('bin/busybox', fs.readFileSync(tools.busybox));
  for (const applet of execFileSync(tools.busybox, ['--list'], { env, encoding: 'utf8' }).split('\n').filter(Boolean)) {
    if (applet !== 'busybox' && applet !== 'init') link(`bin/${applet}`, 'busybox');
  }
  file('bin/disk-by-serial', diskBySerial);
  file('bin/reseed-random', reseedProgram());
  file('sbin/shutdown', shutdown);
  file('etc/qemu/fsfreeze-hook', fsfreezeHook);
  file('etc/acpi/PWRF/00000080', shutdown); // busybox acpid runs this on the power button
  file('etc/passwd', 'root:x:0:0:root:/:/bin/sh\n', 0o644);

  file('bin/qemu-ga', fs.readFileSync(tools.qemuGa));
  for (const library of librariesOf(tools.qemuGa, env)) file(library.target, fs.readFileSync(library.source));

  const order = [];
  const available = listModules(modulesDir);
  for (const name of modules) addModule(name, available, env, order, file);
  file('lib/modules/order', order.join('\n') + '\n', 0o644);

  for (const directory of ['proc', 'sys', 'dev', 'run', 'tmp', 'mnt', 'data', 'var/run', 'var/log', 'var/local/run', 'usr/lib']) tree.set(directory, { mode: 0o040755, content: Buffer.alloc(0) });
  return toCpio(withParents(tree));
}

/** Libraries keep the path the loader will look under: the interpreter's own, all others in /lib. */
function librariesOf(program, env) {
  const output = execFileSync('ldd', [program], { env, encoding: 'utf8' });
  const libraries = [];
  for (const line of output.split('\n')) {
    const named = /^\s*(\S+) => (\/\S+)/.exec(line);
    const interpreter = /^\s*(\/\S*ld-linux\S*)/.exec(line);
    if (named) libraries.push({ target: `lib/${named[1]}`, source: fs.realpathSync(named[2]) });
    else if (interpreter) libraries.push({ target: interpreter[1].slice(1), source: fs.realpathSync(interpreter[1]) });
    else if (line.includes('not found')) throw new Error(`${program} lacks a library: ${line.trim()}. Reinstall qemu-guest-agent.`);
  }
  return libraries;
}

const moduleKey = (name) => name.replace(/\.ko(\.xz|\.zst)?$/, '').replaceAll('-', '_');

function listModules(directory) {
  const found = new Map();
  for (const entry of fs.readdirSync(directory, { recursive: true })) {
    const name = path.basename(entry);
    if (/\.ko(\.xz|\.zst)?$/.test(name)) found.set(moduleKey(name), path.join(directory, entry));
  }
  return found;
}

/** Depth first by each module's own `depends=`: kernel 6.1 loads virtio_ring before virtio only when told so. A missing one is built in. */
function addModule(name, available, env, order, file) {
  const key = moduleKey(name);
  const source = available.get(key);
  if (!source || order.includes(`${key}.ko`)) return;
  const stored = fs.readFileSync(source);
  const unpacker = source.endsWith('.xz') ? 'xz' : source.endsWith('.zst') ? 'zstd' : undefined;
  const content = unpacker ? execFileSync(unpacker, ['-dc'], { input: stored, env, maxBuffer: 1 << 26 }) : stored;
  const depends = /depends=([^\0]*)\0/.exec(content.toString('latin1'))?.[1] ?? '';
  for (const dependency of depends.split(',').filter(Boolean)) addModule(dependency, available, env, order, file);
  file(`lib/modules/${key}.ko`, content, 0o644);
  order.push(`${key}.ko`);
}

function withParents(tree) {
  for (const name of [...tree.keys()]) {
    for (let parent = path.dirname(name); parent !== '.'; parent = path.dirname(parent)) {
      if (!tree.has(parent)) tree.set(parent, { mode: 0o040755, content: Buffer.alloc(0) });
    }
  }
  return tree;
}

/** "newc" cpio, owner 0:0 and time 0. Sorted names put every directory before its content. */
function toCpio(tree) {
  const chunks = [];
  let inode = 1;
  const add = (name, mode, content) => {
    const fields = [inode++, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
    const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`, 'latin1');
    chunks.push(padded(header), padded(content));
  };
  for (const [name, { mode, content }] of [...tree].sort(([left], [right]) => (left < right ? -1 : 1))) add(name, mode, content);
  add('TRAILER!!!', 0, Buffer.alloc(0));
  return Buffer.concat(chunks);
}

const padded = (buffer) => Buffer.concat([buffer, Buffer.alloc((4 - (buffer.length % 4)) % 4)]);
