// Tags and which VMs carry them.
import { needVm, type Context } from '../context';
import { newId } from '../events';
import { entityNotFound, incomplete, notFound } from '../faults';
import { bodyId, done, many, one, param, type Answer, type Call, type Route } from '../http/call';
import { select } from '../http/search';
import { blankId } from '../ovf/words';
import { refuse } from '../refusals';
import type { TagRecord } from '../state/model';
import { wire, type Wire } from '../wire/description';
import { ref } from './links';

function view(tag: TagRecord): Wire {
  return wire('tag', {
    ...ref('tags', tag.id),
    name: tag.name,
    description: tag.description,
    ...(tag.parentId === undefined ? {} : { parent: ref('tags', tag.parentId) }),
  });
}

function vmTagView(vmId: string, tag: TagRecord): Wire {
  return wire('tag', { ...ref('vms', vmId, 'tags', tag.id), name: tag.name, description: tag.description, vm: ref('vms', vmId) });
}

function create({ store }: Context, call: Call): Answer {
  const name = call.body.word('name');
  if (name === undefined) throw incomplete('Tag', ['name']);
  if (store.tables.tags.all().some((tag) => tag.name === name)) throw refuse('tag/name-used');
  const tag: TagRecord = {
    id: newId(),
    name,
    description: call.body.text('description') ?? '',
    parentId: bodyId(call, 'parent.id') ?? blankId,
  };
  store.write(() => {
    store.tables.tags.put(tag);
  });
  return { kind: 'created', item: view(tag) };
}

function assign(context: Context, call: Call): Answer {
  const vm = needVm(context, param(call, 'vm'));
  const { tags, taggedVms } = context.store.tables;
  const [id, name] = [bodyId(call, 'id'), call.body.word('name')];
  if (id === undefined && name === undefined) throw incomplete('Tag', ['id|name']);
  const tag = tags.all().find((candidate) => (id === undefined ? candidate.name === name : candidate.id === id));
  if (tag === undefined) throw entityNotFound(id ?? name ?? '');
  context.store.write(() => {
    taggedVms.put({ id: `${tag.id}/${vm.id}`, tagId: tag.id, vmId: vm.id });
  });
  return { kind: 'created', item: vmTagView(vm.id, tag) };
}

export function tagRoutes(context: Context): Route[] {
  const { tags, taggedVms } = context.store.tables;
  const fields = { id: (tag: TagRecord) => tag.id, name: (tag: TagRecord) => tag.name };
  const wanted = (call: Call): TagRecord => {
    const tag = tags.get(param(call, 'tag'));
    if (tag === undefined) throw notFound();
    return tag;
  };
  const tagsOf = (vmId: string): TagRecord[] =>
    taggedVms.where((tagged) => tagged.vmId === vmId).flatMap((tagged) => tags.get(tagged.tagId) ?? []);
  const onVm = (call: Call): { readonly vmId: string; readonly tag: TagRecord } => {
    const vmId = needVm(context, param(call, 'vm')).id;
    const tag = tagsOf(vmId).find((candidate) => candidate.id === param(call, 'tag'));
    if (tag === undefined) throw notFound();
    return { vmId, tag };
  };
  const remove = (call: Call): Answer => {
    const tag = wanted(call);
    context.store.write(() => {
      for (const tagged of taggedVms.where((candidate) => candidate.tagId === tag.id)) taggedVms.delete(tagged.id);
      tags.delete(tag.id);
    });
    return done();
  };
  const unassign = (call: Call): Answer => {
    const { vmId, tag } = onVm(call);
    context.store.write(() => {
      taggedVms.delete(`${tag.id}/${vmId}`);
    });
    return done();
  };
  return [
    { method: 'GET', path: '/tags', query: ['max'], handle: (call) => many('tag', select(tags.all(), call, fields).map(view)) },
    {
      method: 'POST',
      path: '/tags',
      body: { type: 'tag', accepts: ['name', 'description', 'parent.id'] },
      handle: (call) => create(context, call),
    },
    { method: 'GET', path: '/tags/:tag', handle: (call) => one(view(wanted(call))) },
    { method: 'DELETE', path: '/tags/:tag', handle: remove },
    {
      method: 'GET',
      path: '/vms/:vm/tags',
      query: ['max'],
      handle: (call) => {
        const vm = needVm(context, param(call, 'vm'));
        return many(
          'tag',
          select(tagsOf(vm.id), call, fields).map((tag) => vmTagView(vm.id, tag)),
        );
      },
    },
    { method: 'POST', path: '/vms/:vm/tags', body: { type: 'tag', accepts: ['id', 'name'] }, handle: (call) => assign(context, call) },
    {
      method: 'GET',
      path: '/vms/:vm/tags/:tag',
      handle: (call) => {
        const { vmId, tag } = onVm(call);
        return one(vmTagView(vmId, tag));
      },
    },
    { method: 'DELETE', path: '/vms/:vm/tags/:tag', handle: unassign },
  ];
}
