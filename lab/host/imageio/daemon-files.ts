// The daemon's own directory: its configuration (loopback only, the lab's certificate, sockets under the run directory), its log, its port.
import fs from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { readJsonFile, writeJsonFile } from '../state-file';

export interface Certificate {
  readonly keyFile: string;
  readonly certFile: string;
  readonly caFile: string;
}

export interface DaemonFiles {
  readonly directory: string;
  readonly log: string;
  readonly localSocket: string;
  readonly controlSocket: string;
}

/** Seconds that a removal waits for running requests before it is refused. The real default is 60; a shorter one only shows the same refusal sooner. */
const removeTimeoutSeconds = 2;
const portSchema = z.object({ port: z.number().int() });
const portFile = ({ directory }: DaemonFiles): string => path.join(directory, 'port.json');

export async function notedPort(files: DaemonFiles): Promise<number | undefined> {
  return (await readJsonFile(portFile(files), portSchema))?.port;
}

/** The daemon reads `<directory>/conf.d/*.conf`; `%` is special in these files. */
export async function writeConfiguration(files: DaemonFiles, port: number, certificate: Certificate): Promise<void> {
  const escaped = (value: string): string => value.replaceAll('%', '%%');
  const sections: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    daemon: { systemd_enable: 'false', drop_privileges: 'false', run_dir: files.directory },
    tls: { enable: 'true', key_file: certificate.keyFile, cert_file: certificate.certFile, ca_file: certificate.caFile },
    remote: { host: '127.0.0.1', port: String(port) },
    local: { enable: 'true', socket: files.localSocket },
    control: { transport: 'unix', socket: files.controlSocket, remove_timeout: String(removeTimeoutSeconds) },
    handlers: { keys: 'stderr' },
    logger_root: { level: 'INFO', handlers: 'stderr' },
  };
  const text = Object.entries(sections).map(([name, values]) => `[${name}]\n${Object.entries(values).map(([key, value]) => `${key} = ${escaped(value)}\n`).join('')}`);
  await fs.mkdir(path.join(files.directory, 'conf.d'), { recursive: true, mode: 0o700 });
  await fs.writeFile(path.join(files.directory, 'conf.d', 'lab.conf'), text.join('\n'), { mode: 0o600 });
  await writeJsonFile(portFile(files), { port });
}
