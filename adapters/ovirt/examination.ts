// What only the doctor asks of an engine: its certificate, its clock, what the logged-in user may do, whether a VM has VirtIO-SCSI, which hosts there are.
// One look each, nothing is changed.
import { isIP } from 'node:net';
import { readFileSync } from 'node:fs';
import { connect as connectTls, type PeerCertificate, type TLSSocket } from 'node:tls';
import { z } from 'zod';
import type { CertificateFacts, PermissionFacts } from '../../domain/doctor/judge-engine';
import { HoldfastError } from '../../domain/failures';
import { uuidSchema } from '../../domain/ids';
import { type Connection, type ConnectionOptions, pathOf, queryOf } from './connection';
import type { EngineExamination } from './port';
import { listOf, parseAnswer } from './wire';

const handshakeDeadlineMs = 10_000;

const rootSchema = z.object({
  time: z.union([z.number(), z.string().regex(/^\d+$/).transform(Number), z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))]),
  authenticated_user: z.object({ id: uuidSchema, name: z.string().optional(), user_name: z.string().optional() }).optional(),
});
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((word) => word === 'true')]);
const vmSchema = z.object({ virtio_scsi: z.object({ enabled: flag.optional() }).optional() });
const roleSchema = z.object({ name: z.string() });
const hostSchema = z.object({ name: z.string(), address: z.string().min(1), status: z.string().default('unknown'), cluster: z.object({ id: uuidSchema }) });
const permitSchema = z.object({ name: z.string() });
const reference = z.object({ id: z.string() }).optional();
/** What a permission may be limited to; none of them: it is on System. */
const scopes = ['vm', 'disk', 'storage_domain', 'cluster', 'data_center', 'host', 'template', 'vm_pool', 'network', 'vnic_profile', 'mac_pool'] as const;
const permissionSchema = z.object({ role: z.object({ id: z.string() }), ...Object.fromEntries(scopes.map((scope) => [scope, reference])) as Record<(typeof scopes)[number], typeof reference> });

export function examinationCalls(engine: Connection, options: ConnectionOptions): EngineExamination {
  const read = async <Value>(path: string, schema: z.ZodType<Value>, what: string): Promise<Value> => {
    const { body } = await engine.call({ method: 'GET', path, what });
    return parseAnswer(schema, body, what, engine.engineName);
  };
  const root = (): Promise<z.output<typeof rootSchema>> => read('', rootSchema, 'reading what the engine is');
  return {
    certificate: () => readCertificate(options),
    clockMs: async () => (await root()).time,
    async ownPermissions() {
      const { authenticated_user: user } = await root();
      if (user === undefined) throw new HoldfastError('engine.protocol', `Engine "${engine.engineName}" does not say who is logged in (authenticated_user at the API's root): only 4.4 and newer do.`, { engine: engine.engineName });
      // GetPermissionsByAdElementId in the engine's database: those of the user's groups are among them.
      const permissions = await read(pathOf('users', user.id, 'permissions'), listOf('permission', permissionSchema), `listing the permissions of "${options.username}"`);
      const roles = new Map<string, Pick<PermissionFacts, 'role' | 'permits'>>();
      for (const { role } of permissions) if (!roles.has(role.id)) roles.set(role.id, await readRole(role.id));
      return permissions.map((permission) => ({ ...(roles.get(permission.role.id) ?? { role: permission.role.id, permits: [] }), on: scopeOf(permission) }));
    },
    // Only All-Content has it (api-model, VmService.Get).
    hasVirtioScsi: async (vmId) => (await read(pathOf('vms', vmId) + queryOf({ all_content: 'true' }), vmSchema, `reading VM ${vmId}`)).virtio_scsi?.enabled,
    listHosts: async () => (await read(pathOf('hosts'), listOf('host', hostSchema), 'listing hosts')).map(({ cluster, ...host }) => ({ ...host, clusterId: cluster.id })),
  };

  async function readRole(roleId: string): Promise<Pick<PermissionFacts, 'role' | 'permits'>> {
    const { name } = await read(pathOf('roles', roleId), roleSchema, `reading role ${roleId}`);
    const permits = await read(pathOf('roles', roleId, 'permits'), listOf('permit', permitSchema), `listing the permits of role ${name}`);
    return { role: name, permits: permits.map((permit) => permit.name.toLowerCase()) };
  }
}

function scopeOf(permission: z.output<typeof permissionSchema>): string {
  const scope = scopes.find((each) => permission[each] !== undefined);
  return scope === undefined ? 'system' : `${scope} ${permission[scope]?.id ?? ''}`;
}

/** Looks at the certificate whatever it is, and says whether a call would trust it. Nothing is sent. */
async function readCertificate({ name, url, caFile, insecure = false }: ConnectionOptions): Promise<CertificateFacts> {
  const { hostname, port, protocol } = new URL(url);
  if (protocol !== 'https:') throw new HoldfastError('config.invalid', `The url of engine "${name}" is not https, so it has no certificate.`, { engine: name });
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = await handshake(name, host, port === '' ? 443 : Number(port), caFile);
  try {
    const certificate = socket.getPeerCertificate();
    return {
      verification: insecure ? 'off' : caFile === undefined ? 'system' : 'ca-file',
      trusted: socket.authorized,
      // An Error in truth, whatever its type says.
      ...(socket.authorized ? {} : { reason: String((socket.authorizationError as Error & { readonly code?: string }).code ?? socket.authorizationError) }),
      subject: nameOf(certificate.subject),
      issuer: nameOf(certificate.issuer),
      expiresAt: new Date(certificate.valid_to).toISOString(),
    };
  } finally {
    socket.destroy();
  }
}

function nameOf(entity: PeerCertificate['subject'] | undefined): string {
  const { CN, O } = entity ?? {};
  return [CN ?? O ?? 'nobody'].flat().join(', ');
}

function handshake(name: string, host: string, port: number, caFile: string | undefined): Promise<TLSSocket> {
  const ca = caFile === undefined ? {} : { ca: readFileSync(caFile, 'utf8') };
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host, port, rejectUnauthorized: false, ...(isIP(host) === 0 ? { servername: host } : {}), ...ca });
    const fail = (cause: Error): void => {
      socket.destroy();
      reject(new HoldfastError('engine.unreachable', `Engine "${name}" at ${host}:${port} cannot be reached: ${cause.message === '' ? String((cause as NodeJS.ErrnoException).code) : cause.message}.`, { engine: name }, { cause }));
    };
    socket.setTimeout(handshakeDeadlineMs, () => fail(new Error(`no TLS handshake within ${handshakeDeadlineMs / 1000} s`)));
    socket.once('error', fail);
    socket.once('secureConnect', () => resolve(socket));
  });
}
