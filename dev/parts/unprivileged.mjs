// Who PostgreSQL runs as. It refuses to be root, so root hands it to the user `postgres` (made when there is none, as
// Debian's own package would); anybody else simply runs it.
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { run } from '../setup/shell.mjs';

async function idOf(user) {
  const ask = async (flag) => Number((await run('id', [flag, user])).trim());
  return { uid: await ask('-u'), gid: await ask('-g') };
}

async function postgresUser(say) {
  return idOf('postgres').catch(async () => {
    say('PostgreSQL does not run as root: creating the system user postgres for it');
    await run('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'postgres']);
    return idOf('postgres');
  });
}

/** May the user pass through every directory above this path? A checkout under /root (0700) is the usual "no". */
function isReachable(path, { uid, gid }) {
  for (let directory = dirname(path); ; directory = dirname(directory)) {
    const { mode, uid: owner, gid: group } = statSync(directory);
    const needed = owner === uid ? 0o100 : group === gid ? 0o010 : 0o001;
    if ((mode & needed) === 0) return false;
    if (directory === '/') return true;
  }
}

/**
 * @returns {Promise<{ prefix: string[], uid?: number, gid?: number }>} prefix: setpriv's options. When the user cannot reach the files,
 * it keeps one capability, to pass directories (not to be root in PostgreSQL's eyes); without no_setuid_fixup, access(2) would ignore it.
 */
export async function postgresIdentity(paths, say) {
  if (process.getuid() !== 0) return { prefix: [] };
  const user = await postgresUser(say);
  const prefix = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'];
  if (paths.every((path) => isReachable(path, user))) return { ...user, prefix };
  const only = '-all,+dac_override';
  return { ...user, prefix: [...prefix, '--securebits=+no_setuid_fixup', `--inh-caps=${only}`, `--ambient-caps=${only}`, `--bounding-set=${only}`] };
}
