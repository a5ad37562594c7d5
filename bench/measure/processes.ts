// What the kernel knows of processes: CPU time of ended children, highest resident memory of a tree. And running one command, measured.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ: the unit of /proc/<pid>/stat on every Linux architecture that Node runs on. */
const ticksPerSecond = 100;
const sampleMs = 20;
const stderrKeptBytes = 4_096;

export interface Measured {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Highest resident memory of the process itself … */
  readonly ownPeakBytes: number;
  /** … and the sum of the highest of each of its children. */
  readonly childrenPeakBytes: number;
}

/** User and system time of all children of this process that have ended, theirs included. */
export function childCpuSeconds(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / ticksPerSecond;
}

/** VmHWM; 0 for a process that is gone. */
export function peakBytesOf(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readProc(pid, 'status'))?.[1] ?? 0) * 1024;
}

function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return '';
  }
}

function childrenOf(pid: number): number[] {
  let tasks: string[];
  try {
    tasks = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  return tasks.flatMap((task) => readProc(pid, `task/${task}/children`).split(' ').filter((word) => word !== '').map(Number));
}

/** Looks at the tree again and again: the kernel keeps each process's peak, so only what happens in the last look's shadow is missed. */
export class PeakWatch {
  private readonly peaks = new Map<number, number>();
  private root = 0;
  private timer: NodeJS.Timeout | undefined;

  begin(pid: number): void {
    this.root = pid;
    this.timer = setInterval(() => this.look(pid), sampleMs);
    this.look(pid);
  }

  end(): void {
    clearInterval(this.timer);
  }

  get peak(): Pick<Measured, 'ownPeakBytes' | 'childrenPeakBytes'> {
    const ownPeakBytes = this.peaks.get(this.root) ?? 0;
    return { ownPeakBytes, childrenPeakBytes: [...this.peaks.values()].reduce((sum, bytes) => sum + bytes, 0) - ownPeakBytes };
  }

  private look(pid: number): void {
    const bytes = peakBytesOf(pid);
    if (bytes > 0) this.peaks.set(pid, Math.max(bytes, this.peaks.get(pid) ?? 0));
    for (const child of childrenOf(pid)) this.look(child);
  }
}

export interface CommandOptions {
  readonly signal: AbortSignal;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs to the end and returns what it printed; dies with this process. A failure carries what it said. */
export function runCommand(command: readonly string[], options: CommandOptions, onStart?: (pid: number) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], { stdio: ['ignore', 'pipe', 'pipe'], signal: options.signal, killSignal: 'SIGKILL', cwd: options.cwd, env: options.env });
    let output = '';
    let trouble = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (trouble = (trouble + data.toString()).slice(-stderrKeptBytes)));
    child.once('error', reject);
    child.once('close', (code, signal) => (code === 0 ? resolve(output) : reject(new Error(`${command.join(' ')} ended with ${code ?? signal ?? 'nothing'}:\n${trouble || output.slice(-stderrKeptBytes)}`))));
    if (child.pid !== undefined) onStart?.(child.pid);
  });
}

/** Time, CPU and memory of commands that run one after the other, and of what `after` does in this process (a flush). */
export async function measureCommands(commands: readonly (readonly string[])[], options: CommandOptions, after: () => Promise<void>): Promise<Measured> {
  const cpuBefore = childCpuSeconds();
  const ownBefore = process.cpuUsage();
  let ownPeakBytes = 0;
  let childrenPeakBytes = 0;
  const startedMs = performance.now();
  for (const command of commands) {
    const watch = new PeakWatch();
    await runCommand(command, options, (pid) => watch.begin(pid)).finally(() => watch.end());
    ownPeakBytes = Math.max(ownPeakBytes, watch.peak.ownPeakBytes);
    childrenPeakBytes = Math.max(childrenPeakBytes, watch.peak.childrenPeakBytes);
  }
  await after();
  const seconds = (performance.now() - startedMs) / 1000;
  const own = process.cpuUsage(ownBefore);
  return { seconds, cpuSeconds: childCpuSeconds() - cpuBefore + (own.user + own.system) / 1e6, ownPeakBytes, childrenPeakBytes };
}
