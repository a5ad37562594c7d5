// What the figures were measured on. No host name and no path: the report is meant to be published.
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  /** Of the last minute before the first run: above the number of cores, somebody else was at work too. */
  readonly loadBefore: number;
  readonly versions: Readonly<Record<string, string>>;
}

export function describeMachine(versions: Readonly<Record<string, string>>): Machine {
  const [first] = cpus();
  return {
    processor: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    loadBefore: Math.round((loadavg()[0] ?? 0) * 10) / 10,
    versions: { node: process.version, ...versions },
  };
}

/** The first line of what the program says about itself; undefined when it is not installed. */
export function versionOf(program: string, flag = '--version', env: NodeJS.ProcessEnv = process.env): string | undefined {
  try {
    return execFileSync(program, [flag], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], env }).split('\n')[0]?.trim();
  } catch {
    return undefined;
  }
}

export function machineText(machine: Machine): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  return `${machine.cores} × ${machine.processor}, ${machine.memoryGiB} GiB, kernel ${machine.kernel}, load before ${machine.loadBefore}; ${versions.join(', ')}`;
}
