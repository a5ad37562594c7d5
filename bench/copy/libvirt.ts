// The peer: virtnbdbackup on a domain of a libvirtd of our own (bench/measure/libvirt).
import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { libvirtUri, startLibvirt } from '../measure/libvirt';
import { measureCommands, runCommand } from '../measure/processes';
import type { Workplace } from '../measure/workplace';
import { names, type Contender } from './contenders';
import { flushAll, type BenchDisk } from './disk';

const domain = 'holdfast-bench';

export async function virtnbdbackupContender(place: Workplace, disk: BenchDisk, env: NodeJS.ProcessEnv): Promise<Contender> {
  const libvirt = await startLibvirt(place, env);
  const options = { signal: place.signal, env: libvirt.env };
  await libvirt.startDomain(domain, await libvirt.theirs('disk.qcow2', (file) => copyFile(disk.qcow2, file)));
  const [output, restored, socket] = ['output', 'restored', 'backup.sock'].map((name) => path.join(libvirt.directory, name)) as [string, string, string];
  const scratch = await libvirt.theirs('scratch', (directory) => mkdir(directory));
  return {
    name: names.virtnbdbackup,
    source: 'nbd',
    // `copy` is a full backup that leaves no checkpoint behind, so that each run finds the same domain.
    run: () => measureCommands([[...libvirt.as, 'virtnbdbackup', '-U', libvirtUri, '-d', domain, '-l', 'copy', '-o', output, '-f', socket, '--scratchdir', scratch]], options, () => flushAll(output)),
    image: async () => {
      await runCommand([...libvirt.as, 'virtnbdrestore', '-U', libvirtUri, '-i', output, '-o', restored], options);
      const file = (await readdir(restored)).find((name) => name === 'disk.qcow2' || name === 'sda');
      if (file === undefined) throw new Error(`virtnbdrestore made no image: ${(await readdir(restored)).join(', ')}`);
      return { file: path.join(restored, file), format: 'qcow2' };
    },
    clean: async () => {
      for (const directory of [output, restored]) await rm(directory, { recursive: true, force: true });
    },
  };
}
