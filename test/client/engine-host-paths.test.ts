import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathsOfEngineHost } from '../../client/cli/engine-host-paths';
import { temporaryDirectory } from '../support/temporary';

const make = async (root: string, ...files: string[]): Promise<void> => {
  for (const file of files) {
    await mkdir(path.join(root, path.dirname(file)), { recursive: true });
    await writeFile(path.join(root, file), '');
  }
};

test('What engine-backup saves, as far as it is there', async () => {
  const root = temporaryDirectory('engine-host');
  await make(root, 'etc/ovirt-engine/engine.conf.d/10.conf', 'etc/pki/ovirt-engine/ca.pem', 'etc/httpd/conf.d/ssl.conf', 'etc/httpd/conf.d/of-somebody-else.conf', 'etc/ovirt-provider-ovn/conf.d/10.conf', 'etc/ovirt-provider-ovn/of-the-package.conf');
  expect(pathsOfEngineHost(root).map((each) => path.relative(root, each))).toEqual(['etc/ovirt-engine', 'etc/ovirt-provider-ovn/conf.d', 'etc/pki/ovirt-engine', 'etc/httpd/conf.d/ssl.conf']);
});

test('Of /var/lib neither earlier backups, nor what runs, nor a database that is written to', async () => {
  const root = temporaryDirectory('engine-host');
  const ofEngine = ['backups/old.tar.gz', 'jboss_runtime/tmp/a', 'ansible-runner/a', 'ansible-runner-service.log', '.ansible/a', 'content/a', 'setup/answers/a', 'external_truststore'];
  await make(root, ...ofEngine.map((file) => `var/lib/ovirt-engine/${file}`), 'var/lib/grafana/grafana.db', 'var/lib/grafana/plugins/a');
  expect(pathsOfEngineHost(root).map((each) => path.relative(root, each))).toEqual(['content', 'external_truststore', 'setup'].map((name) => `var/lib/ovirt-engine/${name}`).concat('var/lib/grafana/plugins'));
});

test('A machine without an engine has nothing to save', () => {
  expect(pathsOfEngineHost(temporaryDirectory('engine-host'))).toEqual([]);
});
