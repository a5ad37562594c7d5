// Our side of the copy benchmark: one process that stays, like a worker, and copies when it is told to.
import { fork, type ChildProcess } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { PeakWatch, type Measured } from '../measure/processes';
import type { Workplace } from '../measure/workplace';
import type { Contender } from './contenders';
import { copiedSchema, type CopyOrder } from './order';
import type { BenchDisk } from './disk';
import type { Source } from './sources';

export class Copier {
  private readonly child: ChildProcess;
  private readonly gone: Promise<readonly unknown[]>;

  constructor(place: Workplace, env: NodeJS.ProcessEnv, profileDirectory: string | undefined) {
    const execArgv = profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`];
    this.child = fork(path.join(__dirname, 'copier.js'), [], { env, execArgv });
    this.gone = once(this.child, 'exit').then(() => [{ error: 'the copier has ended' }]);
    place.atEnd(() => this.end());
    place.signal.addEventListener('abort', () => this.child.kill('SIGKILL'), { once: true });
  }

  async copy(order: CopyOrder): Promise<Measured> {
    const watch = new PeakWatch();
    watch.begin(this.child.pid ?? 0);
    this.child.send(order);
    const [answer] = (await Promise.race([once(this.child, 'message'), this.gone]).finally(() => watch.end())) as unknown[];
    const copied = copiedSchema.parse(answer);
    if ('error' in copied) throw new Error(`Holdfast's copy failed: ${copied.error}`);
    return { seconds: copied.seconds, cpuSeconds: copied.cpuSeconds, ...watch.peak };
  }

  private async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.disconnect();
    await exited;
  }
}

export function holdfastContender(place: Workplace, copier: Copier, source: Source, disk: BenchDisk, diskId: string, name: string): Contender {
  const repositoryPath = path.join(place.directory, 'repository');
  const of = { vmId: randomUUID(), backupId: randomUUID(), diskId };
  const directory = path.join(repositoryPath, 'vms', of.vmId, of.backupId);
  return {
    name,
    source: source.name,
    run: () => copier.copy({ ...of, devices: source.devices, repositoryPath, virtualBytes: disk.virtualBytes }),
    image: async () => {
      const root = createHash('sha256').update(await readFile(path.join(directory, `${diskId}.digests`))).digest('hex');
      if (root !== disk.root) throw new Error(`Holdfast's digests are wrong: their root is ${root}, the disk's is ${disk.root}`);
      return { file: path.join(directory, `${diskId}.qcow2`), format: 'qcow2' };
    },
    clean: () => rm(directory, { recursive: true, force: true }),
  };
}
