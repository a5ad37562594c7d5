// Templates, read-only: Blank, and those that the demo data center has made.
import type { Context } from '../context';
import { notFound } from '../faults';
import { many, one, param, type Call, type Route } from '../http/call';
import { select, type SearchFields } from '../http/search';
import { blankId } from '../ovf/words';
import type { TemplateRecord } from '../state/model';
import { wire, type Wire } from '../wire/description';
import { links, ref } from './links';

const gib = 1024 ** 3;
const named: SearchFields<TemplateRecord> = { id: (template) => template.id, name: (template) => template.name };

const blank: TemplateRecord = {
  id: blankId,
  name: 'Blank',
  description: 'Blank template',
  clusterId: '',
  memoryBytes: gib,
  osType: 'other',
  createdMs: 0,
  disks: [],
};

function view(template: TemplateRecord): Wire {
  return wire(
    'template',
    {
      ...ref('templates', template.id),
      name: template.name,
      description: template.description,
      ...(template.clusterId === '' ? {} : { cluster: ref('clusters', template.clusterId) }),
      creation_time: new Date(template.createdMs),
      status: 'ok',
      type: 'server',
      memory: template.memoryBytes,
      cpu: { architecture: template === blank ? 'undefined' : 'x86_64', topology: { cores: 1, sockets: 1, threads: 1 } },
      os: { type: template.osType },
      version: { base_template: ref('templates', template.id), version_name: 'base version', version_number: 1 },
    },
    links(['templates', template.id], ['diskattachments']),
  );
}

function attachmentView(template: TemplateRecord, disk: TemplateRecord['disks'][number]): Wire {
  return wire('disk_attachment', {
    ...ref('templates', template.id, 'diskattachments', disk.diskId),
    active: true,
    bootable: disk.bootable,
    disk: ref('disks', disk.diskId),
    interface: disk.interface,
    pass_discard: false,
    read_only: false,
  });
}

export function templateRoutes({ store }: Context): Route[] {
  const all = (): TemplateRecord[] => [blank, ...store.tables.templates.all()];
  const wanted = (call: Call): TemplateRecord => {
    const template = all().find(({ id }) => id === param(call, 'id'));
    if (template === undefined) throw notFound();
    return template;
  };
  return [
    {
      method: 'GET',
      path: '/templates',
      query: ['search', 'max', 'case_sensitive'],
      handle: (call) => many('template', select(all(), call, named).map(view)),
    },
    { method: 'GET', path: '/templates/:id', handle: (call) => one(view(wanted(call))) },
    {
      method: 'GET',
      path: '/templates/:id/diskattachments',
      handle: (call) => {
        const template = wanted(call);
        return many(
          'disk_attachment',
          template.disks.map((disk) => attachmentView(template, disk)),
        );
      },
    },
  ];
}
