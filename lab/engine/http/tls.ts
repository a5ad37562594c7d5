// A certificate authority of the lab's own, made with the openssl program at first start and kept in `<state>/ca`.
import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface Tls {
  readonly caFile: string;
  readonly ca: string;
  readonly key: string;
  readonly cert: string;
}

const run = promisify(execFile);
const daysValid = '3650';

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

export async function prepareTls(stateDirectory: string): Promise<Tls> {
  const directory = join(stateDirectory, 'ca');
  if (!(await exists(directory))) await create(directory);
  const read = (name: string): Promise<string> => readFile(join(directory, name), 'utf8');
  const [ca, key, cert] = await Promise.all([read('ca.pem'), read('server.key'), read('server.pem')]);
  return { caFile: join(directory, 'ca.pem'), ca, key, cert };
}

const extensions = `basicConstraints=CA:FALSE
keyUsage=digitalSignature,keyEncipherment
extendedKeyUsage=serverAuth
subjectAltName=DNS:localhost,IP:127.0.0.1
`;
/** Elliptic keys: made in milliseconds, and every test makes its own. */
const newKey = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes';
const caUses = '-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign';

/** Built beside its place and renamed, so that a killed first start leaves nothing half-made behind. */
async function create(directory: string): Promise<void> {
  const workshop = `${directory}.new`;
  await rm(workshop, { recursive: true, force: true });
  await mkdir(workshop, { recursive: true, mode: 0o700 });
  await writeFile(join(workshop, 'server.ext'), extensions);
  await openssl(
    workshop,
    `req -x509 ${newKey} -keyout ca.key -out ca.pem -days ${daysValid} ${caUses}`,
    '/O=Holdfast lab/CN=Holdfast lab CA',
  );
  await openssl(workshop, `req ${newKey} -keyout server.key -out server.csr`, '/O=Holdfast lab/CN=localhost');
  await openssl(
    workshop,
    `x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days ${daysValid} -extfile server.ext -out server.pem`,
  );
  for (const secret of ['ca.key', 'server.key']) await chmod(join(workshop, secret), 0o600);
  await rename(workshop, directory);
}

/** Only the subject has blanks in it, so it comes on its own. */
async function openssl(workshop: string, words: string, subject?: string): Promise<void> {
  const args = [...words.split(' '), ...(subject === undefined ? [] : ['-subj', subject])];
  try {
    await run('openssl', args, { cwd: workshop });
  } catch (error) {
    throw new Error(
      `cannot make the lab's certificate with openssl ${args[0] ?? ''}: ${String(error)}; install the Debian package "openssl"`,
    );
  }
}
