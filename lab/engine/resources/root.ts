// The API root.
import { one, type Route } from '../http/call';
import { blankId } from '../ovf/words';
import { wire } from '../wire/description';
import type { Context } from '../context';
import { isRunning, placesOf } from '../context';
import { href, ref } from './links';
import { userId } from '../permissions/authority';

const collections = [
  'clusters',
  'datacenters',
  'disks',
  'events',
  'hosts',
  'jobs',
  'macpools',
  'networks',
  'permissions',
  'roles',
  'storagedomains',
  'tags',
  'templates',
  'users',
  'vms',
  'vnicprofiles',
];
/** Elements and scopes: an engine after 4.5 tells them (ovirt-engine, BackendApiResource.getLastEngineBackup; the API model has them since 4.6.1). */
const backupScopes = {
  last_db_backup: 'db', last_engine_backup: 'files', last_dwh_backup: 'dwhdb', last_cinder_backup: 'cinderlib', last_keycloak_backup: 'keycloak', last_grafana_backup: 'grafanadb',
} as const;
const searchable = ['clusters', 'datacenters', 'disks', 'events', 'hosts', 'jobs', 'networks', 'storagedomains', 'templates', 'vms'];

/** The version that the observed rules come from. */
const version = { major: 4, minor: 5, build: 8, revision: 0, full_version: '4.5.8-holdfast.lab' };

export function rootRoutes(context: Context): Route[] {
  const { tables } = context.store;
  return [
    {
      method: 'GET',
      path: '/',
      handle: async ({ actor }) => {
        const user = { ...ref('users', userId(context, actor.user)), name: actor.user };
        const vms = tables.vms.all();
        const domains = tables.domains.all();
        const backups = await engineBackup(context);
        return one(
          wire(
            'api',
            {
              authenticated_user: user,
              effective_user: user,
              engine_backup: backups,
              product_info: {
                instance_id: tables.installation.get('installation')?.instanceId,
                name: 'oVirt Engine',
                vendor: 'Holdfast lab',
                version,
              },
              special_objects: { blank_template: ref('templates', blankId), root_tag: ref('tags', blankId) },
              summary: {
                hosts: { active: placesOf(context, 'host').length, total: placesOf(context, 'host').length },
                storage_domains: { active: domains.filter((domain) => domain.status === 'active').length, total: domains.length },
                users: { active: 1, total: 1 },
                vms: { active: vms.filter(isRunning).length, total: vms.length },
              },
              time: new Date(),
            },
            [
              ...collections.map((rel) => ({ rel, href: href(rel) })),
              ...searchable.map((rel) => ({ rel: `${rel}/search`, href: `${href(rel)}?search={query}` })),
            ],
          ),
        );
      },
    },
  ];
}

/** Left out where there is no database, or nothing in it. A database that does not answer is a failure, as in an engine: nobody shall take it for "no backup". */
async function engineBackup({ database }: Context): Promise<Readonly<Record<string, Date>> | undefined> {
  const newest = await database?.newestBackups(Object.values(backupScopes));
  const dates = Object.entries(backupScopes).flatMap(([element, scope]) => {
    const date = newest?.get(scope);
    return date === undefined ? [] : [[element, date] as const];
  });
  return dates.length === 0 ? undefined : Object.fromEntries(dates);
}
