// Puts the catalog together. One object per process: it owns a pool of connections, which recovers by itself when the server
// went away; nothing in here tries a call again (Temporal does).
import { createAlerts, type SinksOf } from './alerts';
import { createAwarenessSettings } from './awareness-settings';
import { createBackups } from './backups';
import { createCopySlots } from './copy-slots';
import { openDatabase, type CatalogLog } from './database';
import { createEngineBackupLog } from './engine-backup-log';
import { createExamination } from './examination';
import { createHoldings } from './holdings';
import { createInventory } from './inventory';
import { migrate } from './migrate';
import { createNotices } from './notices';
import type { Catalog } from './port';
import { createRuns } from './runs';
import { createVerifications } from './verifications';

export interface CatalogOptions {
  /** `postgres://user:password@host:port/database`, PostgreSQL 14 or newer; all tables lie in its schema `holdfast`. */
  readonly url: string;
  readonly log?: CatalogLog;
  /** Connections at most. */
  readonly max?: number;
  /** Where alerts of an engine are told, beside the catalog itself. Default: nowhere. */
  readonly sinksOf?: SinksOf;
}

export function createCatalog({ url, log = { warn: () => undefined }, max = 5, sinksOf = () => [] }: CatalogOptions): Catalog {
  const database = openDatabase({ url, max, log });
  return {
    migrate: () => migrate(database),
    ...createRuns(database),
    ...createHoldings(database),
    ...createCopySlots(database),
    ...createBackups(database),
    ...createVerifications(database),
    ...createAlerts(database, sinksOf),
    ...createNotices(database),
    ...createEngineBackupLog(database),
    ...createAwarenessSettings(database),
    ...createInventory(database),
    ...createExamination(database),
    close: () => database.close(),
  };
}
