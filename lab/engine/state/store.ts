// The engine's memory: tables of records with a journal below them. Every write is one appended, flushed line, so a
// SIGKILL loses nothing that was answered and leaves no half of a change. Not a database: everything fits in memory.
import { closeSync, existsSync, fdatasyncSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type {
  AttachmentRecord,
  DiskRecord,
  DomainRecord,
  EventRecord,
  ImageRecord,
  InstallationRecord,
  JobRecord,
  MacPoolRecord,
  NicRecord,
  PermissionRecord,
  PlaceRecord,
  RoleRecord,
  SnapshotRecord,
  TaggedVmRecord,
  TagRecord,
  TemplateRecord,
  UserRecord,
  VmRecord,
} from './model';
import type { BackupRecord, CheckpointRecord, TransferRecord } from './backup-model';
import type { OperationRecord } from './operations';

interface Schema {
  readonly vms: VmRecord;
  readonly nics: NicRecord;
  readonly disks: DiskRecord;
  readonly images: ImageRecord;
  readonly attachments: AttachmentRecord;
  readonly snapshots: SnapshotRecord;
  readonly jobs: JobRecord;
  readonly events: EventRecord;
  readonly tags: TagRecord;
  readonly taggedVms: TaggedVmRecord;
  readonly domains: DomainRecord;
  readonly places: PlaceRecord;
  readonly macPools: MacPoolRecord;
  readonly templates: TemplateRecord;
  readonly checkpoints: CheckpointRecord;
  readonly backups: BackupRecord;
  readonly transfers: TransferRecord;
  readonly users: UserRecord;
  readonly roles: RoleRecord;
  readonly permissions: PermissionRecord;
  readonly operations: OperationRecord;
  readonly installation: InstallationRecord;
}
type TableName = keyof Schema;
const tableNames: readonly TableName[] = [
  'vms',
  'nics',
  'disks',
  'images',
  'attachments',
  'snapshots',
  'jobs',
  'events',
  'tags',
  'taggedVms',
  'domains',
  'places',
  'macPools',
  'templates',
  'checkpoints',
  'backups',
  'transfers',
  'users',
  'roles',
  'permissions',
  'operations',
  'installation',
];

/** One change: a record, or its id with no record when it goes. */
type Change = readonly [table: TableName, id: string, record: object | null];

export class StoreClosed extends Error {}

export class Table<T extends { readonly id: string }> {
  private readonly rows = new Map<string, T>();

  constructor(
    private readonly name: TableName,
    private readonly record: (change: Change, undo: () => void) => void,
  ) {}

  get(id: string | undefined): T | undefined {
    return id === undefined ? undefined : this.rows.get(id);
  }

  all(): T[] {
    return [...this.rows.values()];
  }

  where(matches: (row: T) => boolean): T[] {
    return this.all().filter(matches);
  }

  put(row: T): void {
    const before = this.rows.get(row.id);
    this.record([this.name, row.id, row], () => {
      this.restore(row.id, before);
    });
    this.rows.set(row.id, row);
  }

  /** Changes fields of a record that may have gone in the meantime; then nothing happens. */
  patch(id: string, change: Partial<T>): void {
    const row = this.rows.get(id);
    if (row !== undefined) this.put({ ...row, ...change });
  }

  delete(id: string): void {
    const before = this.rows.get(id);
    if (before === undefined) return;
    this.record([this.name, id, null], () => {
      this.restore(id, before);
    });
    this.rows.delete(id);
  }

  private restore(id: string, row: T | undefined): void {
    if (row === undefined) this.rows.delete(id);
    else this.rows.set(id, row);
  }

  /** Only for loading: what is read was written by `put`. */
  load(id: string, row: object | null): void {
    if (row === null) this.rows.delete(id);
    else this.rows.set(id, row as T);
  }
}

type Tables = { readonly [Name in TableName]: Table<Schema[Name]> };

export class Store {
  readonly tables: Tables;
  private changes: Change[] | undefined;
  private undos: (() => void)[] = [];
  private journal: number | undefined;
  private readonly snapshotPath: string;
  private readonly journalPath: string;

  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.snapshotPath = join(directory, 'engine.json');
    this.journalPath = join(directory, 'engine.journal');
    const record = (change: Change, undo: () => void): void => {
      if (this.changes === undefined) throw new Error(`${change[0]} may only be changed inside store.write()`);
      this.changes.push(change);
      this.undos.push(undo);
    };
    this.tables = Object.fromEntries(tableNames.map((name) => [name, new Table(name, record)])) as unknown as Tables;
    this.load();
    this.compact();
  }

  /** Runs synchronously; all changes become durable together, or (when it throws) none happens. Nested writes join. */
  write<T>(change: () => T): T {
    if (this.changes !== undefined) return change();
    if (this.journal === undefined) throw new StoreClosed('the store is closed');
    this.changes = [];
    this.undos = [];
    try {
      const result = change();
      if (this.changes.length > 0) this.append(this.journal, JSON.stringify(this.changes));
      return result;
    } catch (error) {
      for (const undo of this.undos.reverse()) undo();
      throw error;
    } finally {
      this.changes = undefined;
    }
  }

  private append(descriptor: number, line: string): void {
    writeSync(descriptor, `${line}\n`);
    fdatasyncSync(descriptor);
  }

  private load(): void {
    for (const path of [this.snapshotPath, this.journalPath]) {
      if (!existsSync(path)) continue;
      const lines = readFileSync(path, 'utf8').split('\n');
      // A line without its line feed was cut by a crash before it was answered: it never happened.
      lines.pop();
      for (const line of lines) {
        for (const [table, id, row] of JSON.parse(line) as Change[]) this.tables[table].load(id, row);
      }
    }
  }

  /** Writes everything as one line and starts an empty journal. Replaying an old journal over it changes nothing. */
  private compact(): void {
    const all = tableNames.flatMap((name) => this.tables[name].all().map((row): Change => [name, row.id, row]));
    const temporary = `${this.snapshotPath}.tmp`;
    const descriptor = openSync(temporary, 'w', 0o600);
    this.append(descriptor, JSON.stringify(all));
    closeSync(descriptor);
    renameSync(temporary, this.snapshotPath);
    this.flushDirectory();
    this.journal = openSync(this.journalPath, 'w', 0o600);
    this.flushDirectory();
  }

  private flushDirectory(): void {
    const descriptor = openSync(join(this.snapshotPath, '..'), 'r');
    fsyncSync(descriptor);
    closeSync(descriptor);
  }

  close(): void {
    if (this.journal !== undefined) closeSync(this.journal);
    this.journal = undefined;
  }
}
