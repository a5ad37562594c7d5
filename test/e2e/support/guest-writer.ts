// A guest that writes: to its disks' own blocks, past its page cache, so that what is on them is known from outside the moment it is written.
import type { Stack } from './stack';
import { until, type TestVm } from './vms';

const stopFile = '/run/stop-writer';
const roundsFile = '/run/written';
/** The engine tracks changes by blocks of this size: the writer fills each that it touches. */
const block = '64k';
/** In scattered order over the first 4 MiB. */
const place = '$(( (n * 37) % 64 ))';

const devicesOf = ({ disks }: TestVm): string => disks.map(({ id }) => `$(disk-by-serial ${id})`).join(' ');

/** Writes without pause until it is stopped. */
export async function startWriting({ lab }: Stack, vm: TestVm): Promise<void> {
  const round = `for dev in $devices; do dd if=/dev/urandom of=$dev bs=${block} count=1 seek=${place} oflag=direct conv=notrunc 2>/dev/null; done; echo $n > ${roundsFile}.new; mv ${roundsFile}.new ${roundsFile}; sleep 0.1`;
  const script = `n=$(cat ${roundsFile} 2>/dev/null || echo 0); while [ ! -e ${stopFile} ]; do n=$((n + 1)); ${round}; done`;
  // Right after its start the guest may still be finding its disks.
  await until('the guest has its disks', () => lab.guest(vm.id, `[ "$(echo ${devicesOf(vm)} | wc -w)" = ${vm.disks.length} ] && echo yes || true`).then((text) => text.includes('yes'), () => false));
  await lab.guest(vm.id, `rm -f ${stopFile}; devices="${devicesOf(vm)}"; export devices; setsid sh -c '${script}' </dev/null >/dev/null 2>&1 &`);
}

/** Until it has written so many blocks more to each disk. */
export async function writesOn({ lab }: Stack, { id }: TestVm, rounds: number): Promise<void> {
  const written = async (): Promise<number> => Number(await lab.guest(id, `cat ${roundsFile} 2>/dev/null || echo 0`));
  const wanted = (await written()) + rounds;
  await until(`the guest has written ${rounds} blocks more`, async () => (await written()) >= wanted);
}

export async function stopWriting({ lab }: Stack, { id }: TestVm): Promise<void> {
  await lab.guest(id, `touch ${stopFile}; sleep 0.3`);
}
