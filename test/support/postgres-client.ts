// The real psql and pg_dump of the machine, or of the packages that the set-up has unpacked: Debian's commands of these names in /usr/bin are Perl
// scripts that choose among versions, and want modules that an unpacked package does not find.
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

export function postgresClientDirectory(): string {
  const roots = new Set((process.env['PATH'] ?? '').split(path.delimiter).map((directory) => path.resolve(directory, '..', 'lib', 'postgresql')));
  const found = [...roots].filter((root) => existsSync(root)).flatMap((root) => readdirSync(root).map((version) => path.join(root, version, 'bin'))).filter((directory) => ['psql', 'pg_dump'].every((name) => existsSync(path.join(directory, name))));
  const newest = found.sort((left, right) => Number(path.basename(path.dirname(right))) - Number(path.basename(path.dirname(left))))[0];
  if (newest === undefined) throw new Error('There is no psql and no pg_dump here. Run npm run setup -- --venv, or: apt-get install postgresql-client.');
  return newest;
}

/** A libpq connection without its password, and the line of a password file that holds it. */
export function withoutPassword(url: string): { readonly connection: string; readonly line: string } {
  const { hostname, port, pathname, username, password } = new URL(url);
  return { connection: `postgresql://${username}@${hostname}:${port}${pathname}`, line: `${hostname}:${port}:${pathname.slice(1)}:${username}:${password}\n` };
}
