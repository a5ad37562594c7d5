// What engine-backup saves of an engine's host as its scope `files` (ovirt-engine, packaging/bin/engine-backup.sh.in: BACKUP_PATHS and what follows it).
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

const saved = [
  'etc/ovirt-engine', 'etc/ovirt-engine-dwh', 'etc/ovirt-provider-ovn/conf.d', 'etc/ovirt-provider-ovn/logger.conf', 'etc/ovirt-vmconsole',
  'etc/pki/ovirt-engine', 'etc/pki/ovirt-vmconsole', 'etc/ovirt-engine-setup.conf.d',
  'etc/httpd/conf.d/internalsso-openidc.conf', 'etc/httpd/conf.d/ovirt-engine-grafana-proxy.conf', 'etc/httpd/conf.d/ovirt-engine-root-redirect.conf', 'etc/httpd/conf.d/ssl.conf',
  'etc/httpd/conf.d/z-ovirt-engine-proxy.conf', 'etc/httpd/conf.d/z-ovirt-engine-keycloak-proxy.conf', 'etc/httpd/conf.d/ovirt-sso.conf', 'etc/httpd/http.keytab',
  'etc/yum/pluginconf.d/versionlock.list', 'etc/dnf/plugins/versionlock.list',
  'etc/firewalld/services/ovirt-https.xml', 'etc/firewalld/services/ovirt-http.xml', 'etc/firewalld/services/ovirt-postgres.xml', 'etc/firewalld/services/ovirt-provider-ovn.xml',
  'etc/firewalld/services/ovn-central-firewall-service.xml', 'var/lib/openvswitch', 'etc/grafana',
] as const;

/** Saved but for these: earlier backups, what runs, and a database that tar would catch half-written. */
const savedInPart = [
  { folder: 'var/lib/ovirt-engine', without: ['backups', 'jboss_runtime', 'ansible-runner-service.log', 'ansible-runner', '.ansible'] },
  { folder: 'var/lib/grafana', without: ['grafana.db'] },
] as const;

/** Absolute, and there: not every engine has a data warehouse, Grafana or OVN. As the shell's `*`, it passes over hidden names. */
export function pathsOfEngineHost(root = '/'): readonly string[] {
  const isThere = (each: string): boolean => existsSync(path.join(root, each));
  const inPart = savedInPart.filter(({ folder }) => isThere(folder)).flatMap(({ folder, without }) =>
    readdirSync(path.join(root, folder)).filter((name) => !name.startsWith('.') && !(without as readonly string[]).includes(name)).sort().map((name) => `${folder}/${name}`));
  return [...saved.filter(isThere), ...inPart].map((each) => path.join(root, each));
}
