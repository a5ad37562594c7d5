// All migrations in their order; the position is the schema version. They are TypeScript modules that export SQL, not .sql
// files, because the compiler carries only modules into dist/.
import { sql as start } from './0001-start';
import { sql as copySlots } from './0002-copy-slots';
import { sql as chains } from './0003-chains';
import { sql as replaced } from './0004-replaced';
import { sql as transfers } from './0005-transfers';
import { sql as freezes } from './0006-freezes';
import { sql as engineBackupLog } from './0007-engine-backup-log';
import { sql as alerts } from './0008-alerts';
import { sql as vmAwareness } from './0009-vm-awareness';
import { sql as exemptVms } from './0010-exempt-vms';

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

export const migrations: readonly Migration[] = [
  { version: 1, name: '0001-start', sql: start },
  { version: 2, name: '0002-copy-slots', sql: copySlots },
  { version: 3, name: '0003-chains', sql: chains },
  { version: 4, name: '0004-replaced', sql: replaced },
  { version: 5, name: '0005-transfers', sql: transfers },
  { version: 6, name: '0006-freezes', sql: freezes },
  { version: 7, name: '0007-engine-backup-log', sql: engineBackupLog },
  { version: 8, name: '0008-alerts', sql: alerts },
  { version: 9, name: '0009-vm-awareness', sql: vmAwareness },
  { version: 10, name: '0010-exempt-vms', sql: exemptVms },
];
