// The test servers themselves: they come up, survive a crash with their data, and leave nothing behind.
import { Client as TemporalClient, Connection } from '@temporalio/client';
import { Client } from 'pg';
import { startPostgres } from './postgres';
import { startTemporal } from './temporal';

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

test('PostgreSQL 15 comes up and keeps committed rows over a crash', async () => {
  const postgres = await startPostgres();
  try {
    const url = await postgres.createDatabase();
    await query(url, 'CREATE TABLE kept AS SELECT 7 AS seven');
    await postgres.kill();
    await expect(query(url, 'SELECT 1')).rejects.toThrow();
    await postgres.restart();
    expect(await query(url, 'SELECT seven FROM kept')).toEqual([{ seven: 7 }]);
    expect(await query(url, "SELECT current_setting('server_version_num')::int / 10000 AS major")).toEqual([{ major: 15 }]);
  } finally {
    await postgres.stop();
  }
  await expect(query(postgres.url, 'SELECT 1')).rejects.toThrow();
});

test('Temporal comes up and keeps its workflows over a crash', async () => {
  const temporal = await startTemporal({ inFile: true });
  const withClient = async <T>(use: (client: TemporalClient) => Promise<T>): Promise<T> => {
    const connection = await Connection.connect({ address: temporal.address });
    try {
      return await use(new TemporalClient({ connection, namespace: temporal.namespace }));
    } finally {
      await connection.close();
    }
  };
  try {
    await withClient((client) => client.workflow.start('anything', { workflowId: 'kept', taskQueue: 'nobody' }));
    await temporal.kill();
    await temporal.restart();
    expect((await withClient((client) => client.workflow.getHandle('kept').describe())).status.name).toBe('RUNNING');
  } finally {
    await temporal.stop();
  }
});
