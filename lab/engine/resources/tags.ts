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

const fields = { id: (tag: TagRecord) => tag.id, name: (tag: TagRecord) => tag.name };

export function tagRoutes(context: Context): Route[] {
  const { tags, taggedVms } = context.store.tables;
  const wanted = (call: Call): TagRecord => {
    const tag = tags.get(param(call, 'tag'));
    if (tag === undefined) throw notFound();
    return tag;
  };
  const remove = (call: Call): Answer => {
    const tag = wanted(call);
    context.store.write(() => {
      for (const tagged of taggedVms.where((candidate) => candidate.tagId === tag.id)) taggedVms.delete(tagged.id);
      tags.delete(tag.id);
    });
    return done();
  };
  const accepts = ['name', 'description', 'parent.id'];
  return [
    { method: 'GET', path: '/tags', query: ['max'], handle: (call) => many('tag', select(tags.all(), call, fields).map(view)) },
    { method: 'POST', path: '/tags', body: { type: 'tag', accepts }, handle: (call) => create(context, call) },
    { method: 'GET', path: '/tags/:tag', handle: (call) => one(view(wanted(call))) },
    { method: 'DELETE', path: '/tags/:tag', handle: remove },
    ...vmTagRoutes(context),
  ];
}

function vmTagRoutes(context: Context): Route[] {
  const { tags, taggedVms } = context.store.tables;
  const path = '/vms/:vm/tags';
  const vmOf = (call: Call): string => needVm(context, param(call, 'vm')).id;
  const tagsOf = (vmId: string): TagRecord[] =>
    taggedVms.where((tagged) => tagged.vmId === vmId).flatMap((tagged) => tags.get(tagged.tagId) ?? []);
  const wanted = (call: Call): TagRecord => {
    const tag = tagsOf(vmOf(call)).find((candidate) => candidate.id === param(call, 'tag'));
    if (tag === undefined) throw notFound();
    return tag;
  };
  const list = (call: Call): Answer =>
    many(
      'tag',
      select(tagsOf(vmOf(call)), call, fields).map((tag) => vmTagView(vmOf(call), tag)),
    );
  const unassign = (call: Call): Answer => {
    const tag = wanted(call);
    context.store.write(() => {
      taggedVms.delete(`${tag.id}/${vmOf(call)}`);
    });
    return done();
  };
  return [
    { method: 'GET', path, query: ['max'], handle: list },
    { method: 'POST', path, body: { type: 'tag', accepts: ['id', 'name'] }, handle: (call) => assign(context, call) },
    { method: 'GET', path: `${path}/:tag`, handle: (call) => one(vmTagView(vmOf(call), wanted(call))) },
    { method: 'DELETE', path: `${path}/:tag`, handle: unassign },
  ];
}
