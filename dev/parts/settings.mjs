// Ports, namespace, database and search attributes, read from temporal-dev.yml: the file that Docker users start is the
// file that the embedded launcher obeys.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { Problem, checkout } from '../setup/shell.mjs';
import { bind, bindFree, letGo } from './free-port.mjs';

export const settingsFile = join(checkout, 'temporal-dev.yml');
const portNames = ['temporal', 'temporalUi', 'postgres', 'lab'];
const attributeTypes = ['Text', 'Keyword', 'Int', 'Double', 'Bool', 'Datetime', 'KeywordList'];

const isPort = (value) => Number.isInteger(value) && value > 0 && value < 65536;
const isAttribute = (text) => typeof text === 'string' && /^\w+=/.test(text) && attributeTypes.includes(text.split('=')[1]);

/** @returns {{ namespace: string, database: string, ports: Record<'temporal'|'temporalUi'|'postgres'|'lab', number>, searchAttributes: string[] }} */
export function readSettings(file = settingsFile) {
  const own = parse(readFileSync(file, 'utf8'))?.['x-holdfast'] ?? {};
  const wrong = [
    ...portNames.filter((name) => !isPort(own.ports?.[name])).map((name) => `ports.${name}: a port number`),
    ...['namespace', 'database'].filter((name) => !/^[\w.-]+$/.test(own[name] ?? '')).map((name) => `${name}: a name`),
    ...(Array.isArray(own.searchAttributes) && own.searchAttributes.every(isAttribute) ? [] : [`searchAttributes: a list of Name=Type, with Type one of ${attributeTypes.join(', ')}`]),
  ];
  if (wrong.length > 0) throw new Problem(`${file}, section x-holdfast, needs:\n${wrong.map((line) => `  - ${line}`).join('\n')}`, 'correct the file');
  return { namespace: own.namespace, database: own.database, ports: own.ports, searchAttributes: own.searchAttributes };
}

/** Without a file the server keeps its data in memory. `flushes`: false for tests, whose servers die by SIGKILL and never by a loss of power. */
export function temporalArguments(settings, databaseFile, { flushes = true } = {}) {
  return [
    'server', 'start-dev', '--ip', '127.0.0.1', '--ui-ip', '127.0.0.1', '--port', String(settings.ports.temporal), '--ui-port', String(settings.ports.temporalUi),
    ...(databaseFile === undefined ? [] : ['--db-filename', databaseFile]), ...(flushes ? [] : ['--sqlite-pragma', 'synchronous=0']),
    '--namespace', settings.namespace, '--log-level', 'warn', '--color', 'never', '--disable-config-file',
    ...settings.searchAttributes.flatMap((attribute) => ['--search-attribute', attribute]),
  ];
}

/**
 * `file`: the file's ports, a taken one is an error. `free`: any free ports. `auto`: the file's, and instead of a taken one
 * a free one, saying so. All are held open until all are chosen, so that none is chosen twice.
 */
export async function choosePorts(wanted, mode, say, names = portNames) {
  const servers = [];
  const chosen = {};
  try {
    for (const name of names) {
      const server = await (mode === 'free' ? bindFree() : bind(wanted[name])).catch((error) => {
        if (mode === 'auto') return bindFree();
        throw new Problem(`port ${wanted[name]} for ${name} cannot be used: ${error.message}`, 'end what listens there, change temporal-dev.yml, or start with free ports (--ports free)');
      });
      servers.push(server);
      chosen[name] = server.address().port;
      if (mode === 'auto' && chosen[name] !== wanted[name]) say(`port ${wanted[name]} (${name}) is taken: using ${chosen[name]}`);
    }
    return chosen;
  } finally {
    await Promise.all(servers.map(letGo));
  }
}
