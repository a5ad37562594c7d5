// Storage domains. The status is told only inside a data center; the top level shows none (engine-rules.md section 6).
import { attachmentsOf, isRunning, needDomain, statusWord, thePlace, type Context } from '../context';
import type { Actor } from '../events';
import { notFound } from '../faults';
import { done, many, one, param, type Call, type Route } from '../http/call';
import { select } from '../http/search';
import { refuse } from '../refusals';
import { isFinal } from '../state/backup-model';
import type { DomainRecord, VmRecord } from '../state/model';
import { wire, type Wire } from '../wire/description';
import { href, links, ref } from './links';

type Where = { readonly dataCenterId: string } | 'top level';

async function view(context: Context, domain: DomainRecord, where: Where): Promise<Wire> {
  const space = await context.host.domainSpace(domain.id);
  const committed = context.store.tables.disks
    .where((disk) => disk.domainId === domain.id)
    .reduce((sum, disk) => sum + disk.virtualBytes, 0);
  const owner = where === 'top level' ? ['storagedomains', domain.id] : ['datacenters', where.dataCenterId, 'storagedomains', domain.id];
  const inside =
    where === 'top level'
      ? { data_centers: [ref('datacenters', thePlace(context, 'data_center').id)] }
      : { data_center: ref('datacenters', where.dataCenterId), status: domain.status };
  return wire(
    'storage_domain',
    {
      href: href(...owner),
      id: domain.id,
      name: domain.name,
      description: domain.description,
      comment: domain.comment,
      ...inside,
      available: space.availableBytes,
      used: space.usedBytes,
      committed,
      backup: domain.backup,
      block_size: 512,
      critical_space_action_blocker: domain.criticalGib,
      discard_after_delete: false,
      external_status: 'ok',
      master: domain.master,
      storage: { type: 'nfs', address: 'localhost', path: `/${domain.name}` },
      storage_format: 'v5',
      supports_discard: false,
      type: 'data',
      warning_low_space_indicator: 10,
      wipe_after_delete: false,
    },
    links(owner, ['disks', ...(where === 'top level' ? ['disksnapshots'] : [])]),
    where === 'top level' ? [] : ['activate', 'deactivate'].map((rel) => ({ rel, href: href(...owner, rel) })),
  );
}

function usersOf(context: Context, domain: DomainRecord): VmRecord[] {
  const { vms, disks } = context.store.tables;
  return vms
    .all()
    .filter(
      (vm) =>
        isRunning(vm) &&
        attachmentsOf(context, vm.id).some((attachment) => attachment.active && disks.get(attachment.diskId)?.domainId === domain.id),
    );
}

function update(context: Context, call: Call): Promise<Wire> {
  const domain = needDomain(context, param(call, 'domain'));
  const backup = call.body.flag('backup') ?? domain.backup;
  if (backup && !domain.backup && usersOf(context, domain).length > 0) throw refuse('domain/backup-in-use');
  const updated: DomainRecord = {
    ...domain,
    backup,
    name: call.body.word('name') ?? domain.name,
    description: call.body.text('description') ?? domain.description,
    comment: call.body.text('comment') ?? domain.comment,
    criticalGib: call.body.int('critical_space_action_blocker') ?? domain.criticalGib,
  };
  context.store.write(() => {
    context.store.tables.domains.put(updated);
  });
  return view(context, updated, 'top level');
}

function isTransferring({ store }: Context, { id }: DomainRecord): boolean {
  return store.tables.transfers
    .where(({ phase }) => !isFinal(phase) && !phase.startsWith('paused_'))
    .some(({ diskId }) => store.tables.disks.get(diskId)?.domainId === id);
}

function deactivate(context: Context, domain: DomainRecord, actor: Actor): void {
  if (domain.status !== 'active') throw refuse('domain/deactivate-status', { status: statusWord(domain.status) });
  if (isTransferring(context, domain)) throw refuse('domain/deactivate-transfers');
  if (usersOf(context, domain).length > 0) throw refuse('domain/deactivate-in-use');
  context.store.write(() => {
    context.store.tables.domains.put({ ...domain, status: 'maintenance' });
    context.events.record('domainDeactivated', actor, { domain, dataCenter: thePlace(context, 'data_center').name });
  });
}

function activate(context: Context, domain: DomainRecord, actor: Actor): void {
  if (domain.status === 'active') throw refuse('domain/activate-status', { status: statusWord(domain.status) });
  context.store.write(() => {
    context.store.tables.domains.put({ ...domain, status: 'active' });
    context.events.record('domainActivated', actor, { domain, dataCenter: thePlace(context, 'data_center').name });
  });
}

export function domainRoutes(context: Context): Route[] {
  const fields = {
    id: (row: DomainRecord) => row.id,
    name: (row: DomainRecord) => row.name,
    status: (row: DomainRecord) => row.status,
    comment: (row: DomainRecord) => row.comment,
  };
  const query = ['search', 'max', 'case_sensitive'];
  const inCenter = (call: Call): Where => {
    const dataCenterId = param(call, 'dc');
    if (context.store.tables.places.get(dataCenterId)?.kind !== 'data_center') throw notFound();
    return { dataCenterId };
  };
  const list = async (call: Call, where: Where): Promise<Wire[]> =>
    Promise.all(select(context.store.tables.domains.all(), call, fields).map((row) => view(context, row, where)));
  const inside = '/datacenters/:dc/storagedomains';
  const change = (rel: string, act: (context: Context, domain: DomainRecord, actor: Actor) => void): Route => ({
    method: 'POST',
    path: `${inside}/:domain/${rel}`,
    action: true,
    body: { type: 'action', accepts: ['async'] },
    handle: (call) => {
      inCenter(call);
      act(context, needDomain(context, param(call, 'domain')), call.actor);
      return done();
    },
  });
  return [
    { method: 'GET', path: '/storagedomains', query, handle: async (call) => many('storage_domain', await list(call, 'top level')) },
    {
      method: 'GET',
      path: '/storagedomains/:domain',
      handle: async (call) => one(await view(context, needDomain(context, param(call, 'domain')), 'top level')),
    },
    {
      method: 'PUT',
      path: '/storagedomains/:domain',
      body: { type: 'storage_domain', accepts: ['id', 'name', 'description', 'comment', 'backup', 'critical_space_action_blocker'] },
      handle: async (call) => one(await update(context, call)),
    },
    { method: 'GET', path: inside, query: ['max'], handle: async (call) => many('storage_domain', await list(call, inCenter(call))) },
    {
      method: 'GET',
      path: `${inside}/:domain`,
      handle: async (call) => one(await view(context, needDomain(context, param(call, 'domain')), inCenter(call))),
    },
    change('activate', activate),
    change('deactivate', deactivate),
  ];
}
