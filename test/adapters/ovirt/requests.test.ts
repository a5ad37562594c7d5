// What each call of the port sends, and how the engine's spellings of values are read. Bodies are compared whole: an element
// too many changes what the engine does (memory in a snapshot, a deleted disk, a disk attached to the wrong VM).
import { clientOf, clusterId, diskId, domainId, failureOf, type ScriptedEngine, type ScriptedReply, type SeenRequest, snapshotId, startScriptedEngine, vmId, wireVm } from './scripted-engine';

let server: ScriptedEngine;
let client: ReturnType<typeof clientOf>;
let answer: (request: SeenRequest) => ScriptedReply;

beforeEach(async () => {
  server = await startScriptedEngine((request) => (request.path === '/sso/oauth/token' ? undefined : answer(request)));
  client = clientOf(server.url);
});
afterEach(async () => {
  await client.close();
  await server.close();
});

const last = (): { line: string; query: SeenRequest['query']; body: unknown } => {
  const request = server.requests.at(-1);
  return { line: `${request?.method ?? ''} ${request?.path ?? ''}`, query: request?.query ?? {}, body: request?.body ? (JSON.parse(request.body) as unknown) : undefined };
};
const domainUuid = (n: number): string => `5d000000-0000-4000-8000-00000000000${n}`;
const settings = {
  diskId,
  alias: 'demo_Disk1',
  description: 'first',
  virtualBytes: 1_073_741_824,
  format: 'cow',
  sparse: true,
  backup: 'incremental',
  wipeAfterDelete: false,
  interface: 'virtio_scsi',
  bootable: true,
  active: true,
  readOnly: false,
  passDiscard: false,
} as const;
const wireSnapshot = { id: snapshotId, description: 'Holdfast backup x', snapshot_status: 'locked', snapshot_type: 'regular', date: 1_772_524_800_000 };

describe('what is sent', () => {
  beforeEach(() => (answer = ({ path }) => ({ status: 201, headers: { 'correlation-id': 'used-by-the-engine' }, body: path.endsWith('/snapshots') ? wireSnapshot : wireVm })));

  test('a snapshot without memory, of named disks', async () => {
    const created = await client.createSnapshot({ vmId, description: 'Holdfast backup x', diskIds: [diskId] });
    expect(created).toEqual({ snapshot: { id: snapshotId, description: 'Holdfast backup x', status: 'locked', type: 'regular', createdAt: '2026-03-03T08:00:00.000Z' }, correlationId: 'used-by-the-engine' });
    expect(last()).toEqual({
      line: `POST /api/vms/${vmId}/snapshots`,
      query: {},
      body: { description: 'Holdfast backup x', persist_memorystate: 'false', disk_attachments: { disk_attachment: [{ disk: { id: diskId } }] } },
    });
  });

  test("a snapshot's disk, active, over virtio-scsi", async () => {
    await client.attachSnapshotDisk({ vmId, diskId, snapshotId });
    expect(last()).toEqual({
      line: `POST /api/vms/${vmId}/diskattachments`,
      query: {},
      body: { disk: { id: diskId, snapshot: { id: snapshotId } }, interface: 'virtio_scsi', active: 'true', bootable: 'false' },
    });
  });

  test('a disk as its settings say', async () => {
    await client.attachDisk({ vmId, diskId, interface: 'virtio', bootable: true, active: false, readOnly: false, passDiscard: true });
    expect(last().body).toEqual({ disk: { id: diskId }, interface: 'virtio', bootable: 'true', active: 'false', read_only: 'false', pass_discard: 'true' });
  });

  test('a new disk under an id of ours, outside of any VM', async () => {
    await client.createDisk({ id: diskId, settings, storageDomainId: domainId });
    expect(last()).toEqual({
      line: 'POST /api/disks',
      query: {},
      body: {
        id: diskId,
        alias: 'demo_Disk1',
        description: 'first',
        provisioned_size: '1073741824',
        format: 'cow',
        sparse: 'true',
        backup: 'incremental',
        wipe_after_delete: 'false',
        storage_domains: { storage_domain: [{ id: domainId }] },
      },
    });
  });

  test('a VM from its configuration: no id and no regenerate_ids', async () => {
    const ovf = '<?xml version="1.0" encoding="UTF-8"?><ovf:Envelope>ä"&amp;</ovf:Envelope>';
    await expect(client.createVmFromConfiguration({ name: 'demo-restored', clusterId, comment: 'Holdfast restore r', ovf })).resolves.toMatchObject({ id: vmId, clusterId });
    expect(last()).toEqual({
      line: 'POST /api/vms',
      query: {},
      body: { name: 'demo-restored', comment: 'Holdfast restore r', cluster: { id: clusterId }, initialization: { configuration: { type: 'ovf', data: ovf } } },
    });
  });

  test.each([
    ['detaching keeps the disk', () => client.detachDisk(vmId, diskId), `DELETE /api/vms/${vmId}/diskattachments/${diskId}`, { detach_only: 'true' }],
    ['removing a VM keeps its disks', () => client.removeVm(vmId), `DELETE /api/vms/${vmId}`, { detach_only: 'true' }],
    ['removing a VM that has no disks does not say so: the engine refuses that of a VM from a template', () => client.removeVmWithoutDisks(vmId), `DELETE /api/vms/${vmId}`, {}],
    ['reading a configuration', () => client.getVmConfiguration(vmId).catch(() => undefined), `GET /api/vms/${vmId}`, { all_content: 'true' }],
    ['removing a disk', () => client.removeDisk(diskId), `DELETE /api/disks/${diskId}`, {}],
    ['removing a snapshot', () => client.removeSnapshot(vmId, snapshotId), `DELETE /api/vms/${vmId}/snapshots/${snapshotId}`, {}],
    ['start', () => client.startVm(vmId), `POST /api/vms/${vmId}/start`, {}],
    ['stop', () => client.stopVm(vmId), `POST /api/vms/${vmId}/stop`, {}],
    ['shutdown', () => client.shutdownVm(vmId), `POST /api/vms/${vmId}/shutdown`, {}],
  ])('%s', async (_what, call, line, query) => {
    await call();
    expect(last()).toMatchObject({ line, query });
  });
});

test('a VM is changed in what is named and nothing else', async () => {
  await client.changeVm({ vmId, deleteProtected: false });
  expect(last()).toEqual({ line: `PUT /api/vms/${vmId}`, query: {}, body: { delete_protected: 'false' } });
  await client.changeVm({ vmId, comment: '' });
  expect(last().body).toEqual({ comment: '' });
});

test('a VM tells its pool, its protection and its template; Blank is none', async () => {
  const [pool, template] = [domainId, snapshotId];
  answer = () => ({ body: { ...wireVm, delete_protected: 'true', vm_pool: { id: pool }, template: { id: template } } });
  await expect(client.getVm(vmId)).resolves.toMatchObject({ deleteProtected: true, poolId: pool, templateId: template });
  answer = () => ({ body: { ...wireVm, template: { id: '00000000-0000-0000-0000-000000000000' } } });
  const plain = await client.getVm(vmId);
  expect(plain).toMatchObject({ deleteProtected: false });
  expect(Object.keys(plain ?? {})).not.toEqual(expect.arrayContaining(['poolId']));
  expect(plain?.templateId).toBeUndefined();
});

test.each([['managed_hosted_engine', true], ['hosted_engine', true], ['ovirt', undefined], [undefined, undefined], [7, undefined]])('a VM of the origin %p runs the engine: %p', async (origin, isHostedEngine) => {
  answer = () => ({ body: { ...wireVm, ...(origin === undefined ? {} : { origin }) } });
  expect((await client.getVm(vmId))?.isHostedEngine).toBe(isHostedEngine);
});

test('the NICs of all VMs come page by page; one without an address is one all the same', async () => {
  const page = (count: number, offset: number): unknown => ({ vm: Array.from({ length: count }, (_, index) => ({ ...wireVm, id: `f0000000-0000-4000-8000-${String(offset + index).padStart(12, '0')}`, nics: index === 0 ? {} : { nic: [{ mac: { address: '56:6f:00:00:00:01' } }, {}] } })) });
  answer = ({ query }) => ({ body: query['search']?.endsWith('page 1') ? page(100, 0) : page(2, 100) });
  const nics = await client.listNics();
  expect(nics).toHaveLength(2 * (99 + 1));
  expect(nics.slice(0, 2)).toEqual(['56:6f:00:00:00:01', ''].map((mac) => ({ vmId: 'f0000000-0000-4000-8000-000000000001', vmName: 'demo', clusterId, mac })));
  expect(last()).toMatchObject({ line: 'GET /api/vms', query: { max: '100', follow: 'nics' } });
});

describe('repeating what is already so', () => {
  test('activating an active disk is fine, any other conflict is not', async () => {
    let detail = '[Disk is already activated.]';
    answer = () => ({ status: 409, body: { reason: 'Operation Failed', detail } });
    await expect(client.activateAttachment(vmId, diskId)).resolves.toBeUndefined();
    expect(last()).toEqual({ line: `PUT /api/vms/${vmId}/diskattachments/${diskId}`, query: {}, body: { active: 'true' } });
    detail = '[Cannot hot plug Virtual Disk: VM is locked. Please try again in a few minutes.]';
    expect((await failureOf(client.activateAttachment(vmId, diskId))).code).toBe('engine.locked');
  });

  test('what is gone is detached and removed; a snapshot that is gone is an error with that code', async () => {
    answer = () => ({ status: 404, body: { reason: 'Operation Failed', detail: 'Entity not found: x' } });
    await expect(client.detachDisk(vmId, diskId)).resolves.toBeUndefined();
    await expect(client.removeDisk(diskId)).resolves.toBeUndefined();
    await expect(client.removeVm(vmId)).resolves.toBeUndefined();
    await expect(client.getAttachment(vmId, diskId)).resolves.toBeUndefined();
    await expect(client.getSnapshot(vmId, snapshotId)).resolves.toBeUndefined();
    expect((await failureOf(client.removeSnapshot(vmId, snapshotId))).code).toBe('engine.not-found');
    answer = () => ({ status: 400, body: { reason: 'Operation Failed', detail: '[Cannot detach Virtual Disk. The disk is already detached from VM.]' } });
    await expect(client.detachDisk(vmId, diskId)).resolves.toBeUndefined();
  });
});

describe('paging and searching', () => {
  beforeEach(() => (answer = () => ({ body: {} })));

  test.each([
    [undefined, 1, 'sortby name asc page 1'],
    ['tag=gold', 3, 'tag=gold sortby name asc page 3'],
    ['cluster=Default sortby cluster desc', 2, 'cluster=Default sortby cluster desc page 2'],
    // Without a direction the engine would take nothing after it, and find nothing.
    ['sortby creationdate', 1, 'sortby creationdate asc page 1'],
  ])('%s, page %i', async (search, page, sent) => {
    await expect(client.listVms({ max: 50, page, ...(search === undefined ? {} : { search }) })).resolves.toEqual([]);
    expect(last()).toMatchObject({ line: 'GET /api/vms', query: { search: sent, max: '50' } });
  });

  test('a page in the search is refused', async () => {
    expect((await failureOf(client.listVms({ search: 'name=x page 2', max: 10, page: 1 }))).code).toBe('input.invalid');
    expect(server.requests).toHaveLength(0);
  });

  test('a name is matched exactly, over all pages', async () => {
    const other = { ...wireVm, id: 'f0000000-0000-4000-8000-000000000002', name: 'Demo' };
    answer = ({ query }) => ({ body: { vm: query['search']?.endsWith('page 2') === true ? [wireVm] : Array.from({ length: 100 }, () => other) } });
    await expect(client.findVmByName('demo')).resolves.toMatchObject({ id: vmId });
    expect(server.requests.map(({ query }) => query['search'])).toEqual(['name=demo sortby name asc page 1', 'name=demo sortby name asc page 2']);
  });

  test('an unusual name is quoted, an impossible one is not asked for, two VMs of one name are an error', async () => {
    await expect(client.findVmByName('my vm or yours')).resolves.toBeUndefined();
    expect(last().query['search']).toBe('name="my vm or yours" sortby name asc page 1');
    await expect(client.findVmByName('x" or name="*')).resolves.toBeUndefined();
    expect(server.requests).toHaveLength(1);
    answer = () => ({ body: { vm: [wireVm, { ...wireVm, id: 'f0000000-0000-4000-8000-000000000002' }] } });
    expect((await failureOf(client.findVmByName('demo'))).message).toMatch(/has 2 VMs named "demo" \(f0.*, f0.*\)/);
  });

  test('events by correlation id', async () => {
    answer = () => ({ body: { event: [{ id: '7', code: '170', severity: 'warning', description: 'Failed to create live snapshot', correlation_id: 'hf-1' }, { id: 6, code: 45, severity: 'unheard-of', description: '' }] } });
    await expect(client.listEvents({ correlationId: 'hf-1' })).resolves.toEqual([
      { id: '7', code: 170, severity: 'warning', description: 'Failed to create live snapshot', correlationId: 'hf-1' },
      { id: '6', code: 45, severity: 'normal', description: '' },
    ]);
    expect(last()).toMatchObject({ line: 'GET /api/events', query: { search: 'correlation_id=hf-1' } });
  });
});

describe('how values are read', () => {
  const strings = { active: 'true', bootable: 'false', read_only: 'true', pass_discard: 'false', sparse: 'true', provisioned_size: '1073741824', actual_size: '5', total_size: '9', wipe_after_delete: 'false', shareable: 'false' };
  const natives = { active: true, bootable: false, read_only: true, pass_discard: false, sparse: true, provisioned_size: 1_073_741_824, actual_size: 5, total_size: 9, wipe_after_delete: false, shareable: false };

  test.each([
    ['strings, links followed', strings, true],
    ['native values, links followed', natives, true],
    ['strings, links not followed', strings, false],
  ])('the disks of a VM: %s', async (_how, values, followed) => {
    const { active, bootable, read_only, pass_discard, ...rest } = values;
    const disk = { id: diskId, alias: 'demo_Disk1', description: 'first', status: 'ok', format: 'cow', backup: 'incremental', content_type: 'data', storage_type: 'image', storage_domains: { storage_domain: [{ id: domainId }] }, ...rest };
    answer = ({ path }) =>
      path === `/api/disks/${diskId}` ? { body: disk } : { body: { disk_attachment: [{ id: diskId, active, bootable, read_only, pass_discard, interface: 'virtio_scsi', disk: followed ? disk : { id: diskId, href: `/ovirt-engine/api/disks/${diskId}` } }] } };
    await expect(client.listVmDisks(vmId)).resolves.toEqual([
      {
        settings: { ...settings, bootable: false, readOnly: true, storageDomainId: domainId },
        status: 'ok',
        storageType: 'image',
        shareable: false,
        contentType: 'data',
        actualBytes: 9,
      },
    ]);
    expect(server.requests[0]).toMatchObject({ path: `/api/vms/${vmId}/diskattachments`, query: { follow: 'disk' } });
  });

  test('a direct LUN has no status, format or size of its own', async () => {
    const lun = { id: diskId, alias: 'lun1', storage_type: 'lun', shareable: 'true', lun_storage: { logical_units: { logical_unit: [{ id: '3600', size: '2048' }] } } };
    answer = () => ({ body: { disk_attachment: [{ id: diskId, interface: 'virtio_scsi', active: 'true', disk: lun }] } });
    const [disk] = await client.listVmDisks(vmId);
    expect(disk).toMatchObject({ storageType: 'lun', status: 'ok', shareable: true, settings: { format: 'raw', virtualBytes: 2048, alias: 'lun1' } });
  });

  test.each([
    ['up', 'up'],
    ['image_locked', 'image_locked'],
    ['reboot_in_progress', 'other'],
    ['something_of_version_5', 'other'],
  ])('VM status %s is %s, and its own word is kept', async (word, status) => {
    answer = () => ({ body: { ...wireVm, status: word } });
    await expect(client.getVm(vmId)).resolves.toMatchObject({ status, statusText: word });
  });

  test.each([
    ['epoch milliseconds', 1_772_524_800_000],
    ['epoch milliseconds as a string', '1772524800000'],
    ['ISO 8601 with an offset', '2026-03-03T10:00:00.000+02:00'],
  ])('dates: %s', async (_form, date) => {
    answer = () => ({ body: { snapshot: [{ ...wireSnapshot, date, snapshot_status: 'new_word' }, { id: snapshotId, description: 'Active VM', snapshot_type: 'active' }] } });
    await expect(client.listSnapshots(vmId)).resolves.toMatchObject([
      { createdAt: '2026-03-03T08:00:00.000Z', status: 'other' },
      { type: 'active', status: 'other' },
    ]);
  });

  test('empty collections are empty objects', async () => {
    answer = () => ({ body: {} });
    await expect(Promise.all([client.listSnapshots(vmId), client.listAttachments(vmId), client.listVmDisks(vmId), client.listClusters(), client.listStorageDomains(), client.listSnapshotDisks(vmId, snapshotId)])).resolves.toEqual([[], [], [], [], [], []]);
  });

  test('an attachment tells its snapshot where the engine does', async () => {
    answer = () => ({ body: { disk_attachment: [{ id: diskId, active: 'true', interface: 'virtio_scsi', disk: { id: diskId, snapshot: { id: snapshotId } } }, { id: domainUuid(9), active: 'false', interface: 'ide' }] } });
    await expect(client.listAttachments(vmId)).resolves.toEqual([
      { diskId, active: true, interface: 'virtio_scsi', readOnly: false, bootable: false, snapshotId },
      { diskId: domainUuid(9), active: false, interface: 'ide', readOnly: false, bootable: false },
    ]);
  });

  test('the configuration of a snapshot comes as it is, asked for in both ways', async () => {
    const data = '<?xml version="1.0"?>\n<ovf:Envelope a="&quot;">é</ovf:Envelope> ';
    answer = () => ({ body: { ...wireSnapshot, initialization: { configuration: { type: 'ovf', data } } } });
    await expect(client.getSnapshotConfiguration(vmId, snapshotId)).resolves.toBe(data);
    expect(last().query).toEqual({ all_content: 'true' });
    expect(server.requests[0]?.headers['all-content']).toBe('true');
    answer = () => ({ body: wireSnapshot });
    expect((await failureOf(client.getSnapshotConfiguration(vmId, snapshotId))).code).toBe('engine.protocol');
  });

  test('the status of storage domains comes from their data center', async () => {
    const dataCenterId = 'dc000000-0000-4000-8000-000000000001';
    const domains = [
      { id: domainUuid(1), name: 'data', type: 'data', available: '100', backup: 'false' },
      { id: domainUuid(2), name: 'backup', type: 'data', available: '200', backup: 'true' },
      { id: domainUuid(3), name: 'loose', type: 'data', status: 'unattached' },
    ];
    answer = ({ path }) => {
      if (path === '/api/storagedomains') return { body: { storage_domain: domains } };
      if (path === '/api/datacenters') return { body: { data_center: [{ id: dataCenterId, name: 'Default' }] } };
      return { body: { storage_domain: [{ ...domains[0], status: 'active' }, { ...domains[1], status: 'maintenance' }] } };
    };
    await expect(client.listStorageDomains()).resolves.toEqual([
      { id: domainUuid(1), name: 'data', type: 'data', status: 'active', availableBytes: 100, backup: false, dataCenterId },
      { id: domainUuid(2), name: 'backup', type: 'data', status: 'maintenance', availableBytes: 200, backup: true, dataCenterId },
      { id: domainUuid(3), name: 'loose', type: 'data', availableBytes: 0, backup: false },
    ]);
  });

  test('what the engine is', async () => {
    answer = () => ({ body: { product_info: { name: 'oVirt Engine', vendor: 'oVirt', version: { major: '4', minor: '5', build: '8', full_version: '4.5.8-1.el9' } } } });
    await expect(client.about()).resolves.toEqual({ product: 'oVirt Engine', version: '4.5.8-1.el9' });
    expect(last().line).toBe('GET /api');
  });
});
