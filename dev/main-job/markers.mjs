// Files in the guest by which the main job proves the moment of a backup: markers that are there before it, a writer that never stops, and
// files that come later than the snapshot.
const fileCount = 16;
const fileMiB = 4;

/** The mounted data file systems: /data/<n> in the order of the disks. */
export async function dataDirectories(lab, vmId) {
  const directories = (await lab.guest(vmId, 'for d in /data/*/; do [ -d "$d" ] && echo ${d%/}; done')).trim().split('\n').filter(Boolean);
  if (directories.length === 0) throw new Error(`the guest of VM ${vmId} has no data file system mounted under /data`);
  return directories;
}

/**
 * 64 MiB over all file systems; returns `sha256sum`'s own lines, sorted. Random bytes are dear in an emulated guest: one file of them in each file system, and
 * the others are the same bytes turned by so much that no two have the same block in the same place.
 */
export async function writeMarkers(lab, vmId, directories) {
  await lab.guest(vmId, 'rm -rf /data/*/marker /data/*/later /data/*/stream; sync');
  const perDirectory = Math.ceil(fileCount / directories.length);
  for (const directory of directories) {
    const turned = `for i in $(seq 2 ${perDirectory}); do by=$((i * 70001)); { tail -c +$((by + 1)) 1; head -c $by 1; } > $i; done`;
    await lab.guest(vmId, `mkdir -p ${directory}/marker && cd ${directory}/marker && dd if=/dev/urandom of=1 bs=1M count=${fileMiB} 2>/dev/null && ${turned}; sync`);
  }
  return markerSums(lab, vmId);
}

export async function markerSums(lab, vmId) {
  const output = await lab.guest(vmId, 'find /data/*/marker -type f | xargs -r sha256sum', 300_000);
  return output.trim().split('\n').sort();
}

/** Writes and syncs without pause until it is stopped, on every file system. */
export async function startWriter(lab, vmId, directories) {
  const loops = directories.map((directory) => `dd if=/dev/urandom of=${directory}/stream/$((n % 8)) bs=64k count=4 conv=fsync 2>/dev/null`).join('; ');
  const script = `n=0; while [ ! -e /run/stop-writer ]; do n=$((n + 1)); ${loops}; echo $n > /run/written; sleep 0.05; done`;
  await lab.guest(vmId, `rm -f /run/stop-writer /run/written; mkdir -p ${directories.map((each) => `${each}/stream`).join(' ')}; setsid sh -c '${script}' </dev/null >/dev/null 2>&1 &`);
}

export const writtenRounds = async (lab, vmId) => Number((await lab.guest(vmId, 'cat /run/written 2>/dev/null || echo 0')).trim());

export async function stopWriter(lab, vmId) {
  await lab.guest(vmId, 'touch /run/stop-writer; sleep 0.3; sync');
}

export async function writeLater(lab, vmId, directories) {
  for (const directory of directories) await lab.guest(vmId, `mkdir -p ${directory}/later && dd if=/dev/urandom of=${directory}/later/file bs=1M count=2 2>/dev/null; sync`);
}

export const laterFiles = async (lab, vmId) => (await lab.guest(vmId, 'find /data/*/later -type f 2>/dev/null || true')).trim();
