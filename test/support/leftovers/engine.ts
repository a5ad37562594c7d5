// The engine as anybody sees it: plain HTTPS and JSON, Basic authentication, no adapter of the product. Reads everything once,
// then says what nobody should have left there.
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { z } from 'zod';
import type { FoundLeftover, LookOptions } from './finding';

const connectionSchema = z.object({ url: z.string(), username: z.string(), password: z.string(), caFile: z.string() });
type Connection = z.infer<typeof connectionSchema>;

const flag = z.union([z.boolean(), z.string()]).transform((value) => value === true || value === 'true');
const reference = z.object({ id: z.string() });
const vmSchema = z.object({ id: z.string(), name: z.string(), status: z.string(), comment: z.string().default('') });
const snapshotSchema = z.object({ id: z.string(), description: z.string().default(''), snapshot_status: z.string(), snapshot_type: z.string() });
const attachmentSchema = z.object({ id: z.string(), active: flag.default(false), disk: z.object({ snapshot: reference.optional() }).optional() });
const diskSchema = z.object({ id: z.string(), alias: z.string().default(''), status: z.string().optional(), content_type: z.string().default('data'), image_id: z.string().optional() });
const snapshotDiskSchema = z.object({ id: z.string(), image_id: z.string() });
const templateSchema = z.object({ id: z.string() });
const backupSchema = z.object({ id: z.string(), phase: z.string() });
const checkpointSchema = z.object({ id: z.string(), description: z.string().default(''), state: z.string() });
const transferSchema = z.object({ id: z.string(), phase: z.string(), direction: z.string(), image: reference.optional() });
const jobSchema = z.object({ id: z.string(), description: z.string().default(''), status: z.string() });

export interface EngineVm extends z.infer<typeof vmSchema> {
  readonly snapshots: readonly z.infer<typeof snapshotSchema>[];
  readonly attachments: readonly { readonly diskId: string; readonly active: boolean; readonly snapshotId?: string }[];
  readonly backups: readonly z.infer<typeof backupSchema>[];
  readonly checkpoints: readonly z.infer<typeof checkpointSchema>[];
}

export interface EngineView {
  readonly vms: readonly EngineVm[];
  readonly disks: readonly z.infer<typeof diskSchema>[];
  /** Disks of templates belong to no VM and are nobody's leftovers. */
  readonly templateDiskIds: ReadonlySet<string>;
  readonly jobs: readonly z.infer<typeof jobSchema>[];
  readonly transfers: readonly z.infer<typeof transferSchema>[];
  /** Every volume that the engine knows of, in all snapshots. */
  readonly volumeIds: ReadonlySet<string>;
}

export async function viewEngine(connectionFile: string, onlyVmIds?: readonly string[]): Promise<EngineView> {
  const connection = connectionSchema.parse(JSON.parse(await readFile(connectionFile, 'utf8')));
  const ca = await readFile(connection.caFile, 'utf8');
  const list = async <Schema extends z.ZodType>(path: string, element: string, schema: Schema): Promise<z.output<Schema>[]> => {
    const collection = z.record(z.string(), z.unknown()).parse(await get(connection, ca, path));
    return z.array(schema).parse(collection[element] ?? []);
  };
  const volumeIds = new Set<string>();
  const lookAtVm = async (vm: z.output<typeof vmSchema>): Promise<EngineVm> => {
    const snapshots = await list(`/vms/${vm.id}/snapshots`, 'snapshot', snapshotSchema);
    for (const { id } of snapshots) for (const disk of await list(`/vms/${vm.id}/snapshots/${id}/disks`, 'disk', snapshotDiskSchema)) volumeIds.add(disk.image_id);
    const attachments = (await list(`/vms/${vm.id}/diskattachments`, 'disk_attachment', attachmentSchema)).map(({ id, active, disk }) => ({
      diskId: id, active, ...(disk?.snapshot === undefined ? {} : { snapshotId: disk.snapshot.id }),
    }));
    const backups = await list(`/vms/${vm.id}/backups`, 'backup', backupSchema);
    const checkpoints = await list(`/vms/${vm.id}/checkpoints`, 'checkpoint', checkpointSchema);
    return { ...vm, snapshots, attachments, backups, checkpoints };
  };
  const vms: EngineVm[] = [];
  for (const vm of await list('/vms', 'vm', vmSchema)) {
    if (onlyVmIds?.includes(vm.id) === false) continue;
    const seen = await unlessGone(() => lookAtVm(vm), () => list('/vms', 'vm', vmSchema), vm.id);
    if (seen) vms.push(seen);
  }
  const disks = await list('/disks', 'disk', diskSchema);
  for (const { image_id } of disks) if (image_id !== undefined) volumeIds.add(image_id);
  const templateDiskIds = new Set<string>();
  for (const { id } of await list('/templates', 'template', templateSchema)) for (const disk of await list(`/templates/${id}/diskattachments`, 'disk_attachment', attachmentSchema)) templateDiskIds.add(disk.id);
  return { vms, disks, templateDiskIds, jobs: await list('/jobs', 'job', jobSchema), transfers: await list('/imagetransfers', 'image_transfer', transferSchema), volumeIds };
}

class NotThere extends Error {}

/** Other runs go on while we look: what goes between two questions is nobody's leftover. Of a VM that is still there, something else has gone, and it is looked at again. */
async function unlessGone(look: () => Promise<EngineVm>, listVms: () => Promise<readonly { readonly id: string }[]>, vmId: string): Promise<EngineVm | undefined> {
  for (let left = 5; ; left -= 1) {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof NotThere)) throw error;
      if (!(await listVms()).some(({ id }) => id === vmId)) return undefined;
      if (left === 0) throw error;
    }
  }
}

function get(connection: Connection, ca: string, path: string): Promise<unknown> {
  const base = connection.url.replace(/\/+$/, '').replace(/\/api$/, '');
  const target = `${base}/api${path}`;
  return new Promise((resolve, reject) => {
    const fail = (why: string, Kind: new (message: string) => Error = Error): void => reject(new Kind(`the outside look cannot read ${target}: ${why}`));
    const authorization = `Basic ${Buffer.from(`${connection.username}:${connection.password}`).toString('base64')}`;
    const sent = request(target, { ca, headers: { accept: 'application/json', authorization }, timeout: 20_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('error', (error) => fail(error.message));
      response.on('end', () => {
        try {
          if (response.statusCode === 200) resolve(JSON.parse(body));
          else fail(`HTTP ${response.statusCode ?? 0} ${body.slice(0, 200)}`, response.statusCode === 404 ? NotThere : Error);
        } catch {
          fail(`not JSON: ${body.slice(0, 200)}`);
        }
      });
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer within 20 s')));
    sent.on('error', (error) => fail(error.message));
    sent.end();
  });
}

export function lookAtEngine(view: EngineView, options: LookOptions): readonly FoundLeftover[] {
  return [...view.vms.flatMap((vm) => [...aboutVm(vm, options), ...aboutSnapshots(vm, options), ...aboutAttachments(vm, options)]), ...aboutDisks(view, options), ...aboutJobs(view)];
}

const quietStatuses: readonly string[] = ['up', 'down'];

function aboutVm(vm: EngineVm, { markPrefix = 'Holdfast', keptVmIds = [] }: LookOptions): FoundLeftover[] {
  const found: FoundLeftover[] = [];
  if (!quietStatuses.includes(vm.status)) found.push({ where: 'engine', what: 'vm-status', object: vm.id, detail: `VM ${vm.name} is ${vm.status}` });
  if (vm.comment.startsWith(markPrefix) && !keptVmIds.includes(vm.id)) {
    found.push({ where: 'engine', what: 'marked-vm', object: vm.id, detail: `VM ${vm.name} has the comment "${vm.comment}" and is no product of a run` });
  }
  return found;
}

function aboutSnapshots(vm: EngineVm, { markPrefix = 'Holdfast' }: LookOptions): FoundLeftover[] {
  return vm.snapshots
    .filter(({ snapshot_type }) => snapshot_type !== 'active')
    .flatMap(({ id, description, snapshot_status, snapshot_type }): FoundLeftover[] => {
      const title = `snapshot "${description}" of VM ${vm.name}`;
      if (description.startsWith(markPrefix)) return [{ where: 'engine', what: 'marked-snapshot', object: id, detail: `${title} (${snapshot_status}) is ours` }];
      if (snapshot_status === 'ok' && snapshot_type === 'regular') return [];
      return [{ where: 'engine', what: 'snapshot-state', object: id, detail: `${title} is ${snapshot_status}, type ${snapshot_type}` }];
    });
}

function aboutAttachments(vm: EngineVm, { applianceIds, keptDiskIds = [] }: LookOptions): FoundLeftover[] {
  return vm.attachments
    .filter(({ diskId, snapshotId }) => snapshotId !== undefined || (applianceIds.includes(vm.id) && !keptDiskIds.includes(diskId)))
    .map(({ diskId, snapshotId }) => ({
      where: 'engine', what: 'attachment', object: diskId, detail: `disk ${diskId}${snapshotId === undefined ? '' : ` (of snapshot ${snapshotId})`} is attached to VM ${vm.name}`,
    }));
}

function aboutDisks({ vms, disks, templateDiskIds }: EngineView, { keptDiskIds = [] }: LookOptions): FoundLeftover[] {
  const owned = new Set(vms.flatMap(({ attachments }) => attachments.filter(({ snapshotId }) => snapshotId === undefined).map(({ diskId }) => diskId)));
  return disks.flatMap(({ id, alias, status, content_type }): FoundLeftover[] => {
    const found: FoundLeftover[] = [];
    // A direct LUN has no status.
    if (status !== undefined && status !== 'ok') found.push({ where: 'engine', what: 'disk-status', object: id, detail: `disk ${alias} is ${status}` });
    if (content_type === 'data' && !owned.has(id) && !templateDiskIds.has(id) && !keptDiskIds.includes(id)) found.push({ where: 'engine', what: 'floating-disk', object: id, detail: `disk ${alias} belongs to no VM` });
    return found;
  });
}

function aboutJobs({ jobs }: EngineView): FoundLeftover[] {
  return jobs
    .filter(({ status }) => !['finished', 'failed', 'aborted'].includes(status))
    .map(({ id, description, status }) => ({ where: 'engine', what: 'job', object: id, detail: `job "${description}" is ${status}` }));
}
