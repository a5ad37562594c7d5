// Processes that work on the lab's or a repository's files and belong to nothing that goes on: told from /proc alone.
import { readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import type { EngineView } from './engine';
import type { FoundLeftover } from './finding';
import { listNames } from './lab-files';

/** Programs that a run starts and must end. A shell or an editor that merely names a path is nobody's leftover. */
// An image transfer's qemu-nbd is one of them: nothing is left behind when the transfer goes on.
const helpers = /^(qemu-(nbd|storage-daemon|img|io)|setpriv|nbdkit|nbdcopy|nbdinfo|nbdfuse|fusermount3?)$/;

/** A Python program: its interpreter's name comes first on the command line. */
const imageioDaemon = 'ovirt-imageio';

interface RunningProcess {
  readonly pid: string;
  readonly program: string;
  readonly commandLine: string;
  /** Command line and open files. */
  readonly touches: (roots: readonly string[]) => boolean;
}

export async function lookAtProcesses(roots: readonly string[], view: EngineView | undefined): Promise<readonly FoundLeftover[]> {
  const found: FoundLeftover[] = [];
  let daemons = 0;
  const upVmIds = (view?.vms ?? []).filter(({ status }) => status !== 'down').map(({ id }) => id);
  for (const pid of await listNames('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const process = await describeProcess(pid);
    if (process?.touches(roots) !== true) continue;
    const detail = `pid ${pid}: ${process.commandLine.slice(0, 300)}`;
    if (helpers.test(process.program)) found.push({ where: 'process', what: 'helper-process', object: pid, detail });
    else if (process.program === imageioDaemon) {
      daemons += 1;
      // A living lab has one.
      if (view === undefined || daemons > 1) found.push({ where: 'process', what: 'stray-imageio-daemon', object: pid, detail });
    } else if (process.program.startsWith('qemu-system') && !upVmIds.some((vmId) => process.commandLine.includes(vmId))) {
      found.push({ where: 'process', what: 'qemu-of-a-down-vm', object: pid, detail });
    }
  }
  return found;
}

/** undefined: it ended meanwhile, is a zombie or a kernel thread. */
async function describeProcess(pid: string): Promise<RunningProcess | undefined> {
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').filter((word) => word !== '');
  const program = path.basename(words[1] ?? '') === imageioDaemon ? imageioDaemon : path.basename(words[0] ?? '');
  if (!helpers.test(program) && program !== imageioDaemon && !program.startsWith('qemu-system')) return undefined;
  const openFiles: string[] = [];
  for (const fd of await listNames(`/proc/${pid}/fd`).catch(() => [])) openFiles.push(await readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''));
  const commandLine = words.join(' ');
  const touches = (directories: readonly string[]): boolean =>
    directories.some((root) => openFiles.some((file) => file.startsWith(`${root}/`)) || words.some((word) => namesPath(word, root)));
  return { pid, program, commandLine, touches };
}

/** `/state/lab` is named by `file=/state/lab/x`, not by `/state/lab2`. */
function namesPath(word: string, root: string): boolean {
  for (let at = word.indexOf(root); at >= 0; at = word.indexOf(root, at + 1)) if (/^($|[/,"'\s])/.test(word.slice(at + root.length))) return true;
  return false;
}
