// How the lab's engine tells of backups of itself: its log, which engine-backup fills, and its event list, in which Holdfast's alerts show.
import { readFileSync } from 'node:fs';
import { Client as PostgresClient } from 'pg';
import { createEngine } from '../../../adapters/ovirt/engine';
import type { Engine, PostedEvent } from '../../../adapters/ovirt/port';
import type { Stack } from './stack';

export interface EngineLog {
  readonly api: Engine;
  /** As engine-backup logs it when a scope is done. */
  completed(scope: string): Promise<void>;
  /** Events of Holdfast about backups of the engine. */
  events(severity: PostedEvent['severity']): Promise<readonly PostedEvent[]>;
  close(): Promise<void>;
}

export function openEngineLog({ parts, engine }: Pick<Stack, 'parts' | 'engine'>): EngineLog {
  const { url, username, password, caFile } = JSON.parse(readFileSync(parts.lab.connectionFile, 'utf8')) as { url: string; username: string; password: string; caFile: string };
  const api = createEngine({ name: engine, url, username, caFile, password: () => Promise.resolve(password) });
  const database = new URL(parts.postgresUrl);
  database.pathname = '/engine';
  return {
    api,
    async completed(scope) {
      const client = new PostgresClient({ connectionString: database.href });
      await client.connect();
      try {
        await client.query("SELECT LogEngineBackupEvent($1, now(), 1, 'Backup Finished', 'engine.example', '/var/log/engine-backup.log')", [scope]);
      } finally {
        await client.end();
      }
    },
    events: async (severity) => (await api.listPostedEvents()).filter((event) => event.severity === severity && event.description.includes(`backup of engine ${engine}`)),
    close: () => api.close(),
  };
}
