// Turns what PostgreSQL and its driver throw into Holdfast's errors. Decides nothing about retries: domain/failures does.
import { types } from 'node:util';
import { HoldfastError } from '../../domain/failures';

/** What to do, by SQLSTATE (or the start of one) or by the system's error code. The first match counts. */
const remedies: readonly (readonly [start: string, remedy: string])[] = [
  ['28', 'check user and password in the catalog URL'],
  ['3D000', 'create the database, or name another one in the catalog URL'],
  ['42501', 'grant the role CREATE on the database and ownership of the schema holdfast'],
  ['42', 'the schema does not fit this Holdfast: start a control worker, which applies the migrations'],
  ['3F', 'the schema is missing: start a control worker, which applies the migrations'],
  ['53300', 'raise max_connections on the server, or lower `max` connections per worker'],
  ['53', 'free disk space or memory on the database server'],
  ['57P', 'the server is starting or stopping: it is tried again'],
  ['25006', 'the server is a read-only standby: name the primary in the catalog URL'],
  ['ECONNREFUSED', 'check that the server runs and listens there'],
  ['ENOTFOUND', 'check the host name in the catalog URL'],
];

/** Mistakes in the program itself, which no operator can mend: they pass as they are. */
const ownMistakes: readonly string[] = ['HoldfastError', 'TypeError', 'RangeError', 'SyntaxError', 'ZodError'];

/** `where`: host and database, never the password. `what`: the call that failed. */
export function toCatalogError(error: unknown, what: string, where: string): unknown {
  // Not `instanceof`: an error may come from another realm (Node's own errors under jest) or from a second copy of the driver.
  if (!types.isNativeError(error) || ownMistakes.includes(error.name)) return error;
  const code = fieldOf(error, 'code');
  const details = { code, what };
  if (code.startsWith('22')) {
    return new HoldfastError('input.invalid', `the catalog refuses the values of ${what}: ${error.message}`, details, { cause: error });
  }
  if (code.startsWith('23')) {
    const message = `${what} contradicts what the catalog at ${where} holds: ${error.message} ${fieldOf(error, 'detail')}`.trimEnd();
    return new HoldfastError('catalog.conflict', message, details, { cause: error });
  }
  const remedy = remedies.find(([start]) => code.startsWith(start))?.[1] ?? 'check the server and the way to it';
  return new HoldfastError('catalog.unavailable', `${what}: the catalog at ${where} is unavailable (${textOf(error)}): ${remedy}`, details, { cause: error });
}

function fieldOf(error: Error, field: 'code' | 'detail'): string {
  const value: unknown = Reflect.get(error, field);
  return typeof value === 'string' ? value : '';
}

/** A refused connection to several addresses is an AggregateError with an empty message. */
function textOf(error: Error): string {
  if (error.message !== '') return error.message;
  const parts: unknown = Reflect.get(error, 'errors');
  if (Array.isArray(parts)) return parts.map((part) => (types.isNativeError(part) ? part.message : String(part))).join('; ');
  return fieldOf(error, 'code') || error.name;
}
