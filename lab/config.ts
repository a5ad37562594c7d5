// The lab's command line and environment, validated. The only place of the lab that reads the environment.
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';

const schema = z.object({
  stateDirectory: z.string({ error: '--state <directory> is required: where the lab keeps its engine, disks and VMs' }).min(1),
  port: z.coerce.number().int().min(0).max(65_535),
  guestDirectory: z.string().min(1),
  cacheDirectory: z.string().min(1),
  tokenIdleSeconds: z.coerce.number().positive(),
  demo: z.boolean(),
  stopVmsOnExit: z.boolean(),
  /** As engines since May 2026: detaching a disk, a snapshot's included, ends its change tracking. */
  detachWipesTracking: z.boolean(),
  qemuData: z.array(z.string()),
  /** Of an environment that has the ovirt-imageio package. Absent: the lab has no data daemon. */
  python: z.string().min(1).optional(),
  /** A database for the engine's own log of backups: its owner's URL. Absent: the engine tells nothing of backups of itself. */
  engineDatabase: z.string().regex(/^postgres(ql)?:\/\//, { error: 'HOLDFAST_LAB_ENGINE_DATABASE must be a URL: postgresql://<user>:<password>@<host>:<port>/<database>' }).optional(),
  fuse: z.enum(['auto', 'off'], { error: 'HOLDFAST_FUSE must be auto or off' }),
});
export type LabConfig = z.infer<typeof schema>;

export class ConfigError extends Error {}

export const usage =
  'usage: lab --state <dir> [--port <n>] [--guest <dir>] [--cache <dir>] [--demo] [--token-idle-seconds <n>] [--detach-wipes-tracking] [--stop-vms-on-exit]';

export function readConfig(args: readonly string[], env: NodeJS.ProcessEnv = process.env): LabConfig {
  const values = parse(args);
  const cache = values.cache ?? env['HOLDFAST_CACHE'] ?? path.join(env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache'), 'holdfast');
  const result = schema.safeParse({
    stateDirectory: values.state === undefined ? undefined : path.resolve(values.state),
    port: values.port ?? '0',
    guestDirectory: path.resolve(values.guest ?? env['HOLDFAST_GUEST'] ?? path.join(cache, 'guest')),
    cacheDirectory: path.resolve(cache),
    tokenIdleSeconds: values['token-idle-seconds'] ?? '1800',
    demo: values.demo ?? false,
    stopVmsOnExit: values['stop-vms-on-exit'] ?? false,
    detachWipesTracking: values['detach-wipes-tracking'] ?? false,
    qemuData: (env['HOLDFAST_QEMU_DATA'] ?? '').split(path.delimiter).filter((directory) => directory !== ''),
    fuse: env['HOLDFAST_FUSE'] ?? 'auto',
    python: env['HOLDFAST_SDK_PYTHON'],
    engineDatabase: env['HOLDFAST_LAB_ENGINE_DATABASE'],
  });
  if (!result.success) throw new ConfigError(result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('\n'));
  return result.data;
}

function parse(args: readonly string[]): {
  state?: string | undefined;
  port?: string | undefined;
  guest?: string | undefined;
  cache?: string | undefined;
  'token-idle-seconds'?: string | undefined;
  demo?: boolean | undefined;
  'stop-vms-on-exit'?: boolean | undefined;
  'detach-wipes-tracking'?: boolean | undefined;
} {
  try {
    return parseArgs({
      args: [...args],
      options: {
        state: { type: 'string' },
        port: { type: 'string' },
        guest: { type: 'string' },
        cache: { type: 'string' },
        'token-idle-seconds': { type: 'string' },
        demo: { type: 'boolean' },
        'stop-vms-on-exit': { type: 'boolean' },
        'detach-wipes-tracking': { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new ConfigError(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  }
}
