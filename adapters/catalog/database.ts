// The only file that talks to `pg`: a pool that outlives its server, transactions, and the one place where snake_case columns
// become camelCase fields. Knows no table.
import { Client, Pool, type PoolClient, type QueryResultRow } from 'pg';
import { HoldfastError } from '../../domain/failures';
import { toCatalogError } from './errors';

/** What `pino` offers, and nothing more. */
export interface CatalogLog {
  warn(fields: object, message: string): void;
}

export type Parameter = string | number | null | readonly string[];

export interface Statements {
  /** Rows with camelCase keys; NULL fields are null. */
  rows<Row>(text: string, parameters?: readonly Parameter[]): Promise<readonly Row[]>;
  /** Number of rows that the statement changed. */
  change(text: string, parameters?: readonly Parameter[]): Promise<number>;
}

export interface Database extends Statements {
  /** Host and database for messages, without user and password. */
  readonly where: string;
  /** `what` names the caller's intent in errors. All of `work` or nothing of it. */
  transaction<T>(what: string, work: (statements: Statements) => Promise<T>, options?: { readonly unlimited: boolean }): Promise<T>;
  /** The same statements outside a transaction, with `what` in their errors. */
  call(what: string): Statements;
  close(): Promise<void>;
}

const connectDeadlineMs = 10_000;
const statementDeadlineMs = 30_000;

export function openDatabase(options: { readonly url: string; readonly max: number; readonly log: CatalogLog }): Database {
  const { pool, where } = openPool(options.url, options.max);
  // A server that goes away breaks idle connections and borrowed ones alike; without listeners that would end the process.
  pool.on('error', (error) => options.log.warn({ where, reason: error.message }, 'lost an idle connection to the catalog'));
  pool.on('connect', (client) => client.on('error', () => undefined));

  const call = (what: string): Statements => guarded(statementsOn(pool), (error) => toCatalogError(error, what, where));
  const transaction: Database['transaction'] = async (what, work, { unlimited } = { unlimited: false }) => {
    try {
      return await inTransaction(pool, work, unlimited);
    } catch (error) {
      throw toCatalogError(error, what, where);
    }
  };
  let closing: Promise<void> | undefined;
  return { where, transaction, call, ...call('a query'), close: () => (closing ??= pool.end()) };
}

function openPool(url: string, max: number): { pool: Pool; where: string } {
  const refusal = new HoldfastError('config.invalid', 'the catalog URL is not a PostgreSQL URL: write it as postgres://user:password@host:5432/database');
  // The driver takes any other word for the name of a local database.
  if (!/^postgres(ql)?:\/\//.test(url)) throw refusal;
  try {
    const { host, port, database } = new Client({ connectionString: url });
    const pool = new Pool({
      connectionString: url,
      max,
      application_name: 'holdfast',
      connectionTimeoutMillis: connectDeadlineMs,
      statement_timeout: statementDeadlineMs,
      // Longer than the server's own limit: it only strikes when the server or the network has fallen silent.
      query_timeout: statementDeadlineMs + 5_000,
      keepAlive: true,
    });
    return { pool, where: `${host}:${port}/${database ?? ''}` };
  } catch {
    // Not passed on as the cause: the driver's error quotes the URL, password included.
    throw refusal;
  }
}

async function inTransaction<T>(pool: Pool, work: (statements: Statements) => Promise<T>, unlimited: boolean): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    if (unlimited) await client.query('SET LOCAL statement_timeout = 0');
    const result = await work(statementsOn(client, unlimited ? { query_timeout: 2 ** 31 - 1 } : {}));
    await client.query('COMMIT');
    client.release();
    return result;
  } catch (error) {
    // Ending the connection rolls back, also when the connection is what broke.
    client.release(true);
    throw error;
  }
}

function statementsOn(connection: Pool | PoolClient, limits: { readonly query_timeout?: number } = {}): Statements {
  const run = (text: string, parameters: readonly Parameter[] = []): Promise<{ rows: QueryResultRow[]; rowCount: number | null }> =>
    // Without parameters the simple protocol is used, which takes a migration's many statements at once.
    connection.query<QueryResultRow>({ text, ...limits, ...(parameters.length > 0 ? { values: parameters.map(storable) } : {}) });
  return {
    async rows<Row>(text: string, parameters?: readonly Parameter[]) {
      return (await run(text, parameters)).rows.map((row) => camelCased(row) as Row);
    },
    async change(text, parameters) {
      return (await run(text, parameters)).rowCount ?? 0;
    },
  };
}

function guarded(statements: Statements, translate: (error: unknown) => unknown): Statements {
  const rethrow = (error: unknown): never => {
    throw translate(error);
  };
  return {
    rows: <Row>(text: string, parameters?: readonly Parameter[]) => statements.rows<Row>(text, parameters).catch(rethrow),
    change: (text, parameters) => statements.change(text, parameters).catch(rethrow),
  };
}

/** PostgreSQL stores neither NUL nor half a surrogate pair, and an error text from a guest may hold both: a run must close all the same. */
export function storableText(text: string): string {
  return text.replace(/[\0\p{Surrogate}]/gu, '\uFFFD');
}

function storable(parameter: Parameter): unknown {
  if (typeof parameter === 'string') return storableText(parameter);
  return Array.isArray(parameter) ? parameter.map((each: string) => storableText(each)) : parameter;
}

function camelCased(row: QueryResultRow): QueryResultRow {
  return Object.fromEntries(Object.entries(row).map(([column, value]: [string, unknown]) => [column.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()), value]));
}
