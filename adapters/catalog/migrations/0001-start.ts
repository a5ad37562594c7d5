// Migration 1: runs, backups with their disks, holdings, alerts. Immutable once released: a change is a new file.

export const sql = `
CREATE TABLE holdfast.runs (
  run_id          uuid PRIMARY KEY,
  workflow_id     text NOT NULL,
  workflow_type   text NOT NULL,
  engine          text NOT NULL,
  vm_id           uuid,
  vm_name         text NOT NULL,
  backup_id       uuid,
  repository      text,
  -- Unique for ever: a restore that was asked for once is never done twice, whatever became of the first.
  request_id      uuid UNIQUE,
  outcome         text NOT NULL DEFAULT 'running' CHECK (outcome IN ('running', 'completed', 'failed', 'cancelled')),
  started_at      timestamptz NOT NULL DEFAULT now(),
  ended_at        timestamptz,
  failure_code    text,
  failure_message text,
  warnings        text[] NOT NULL DEFAULT '{}',
  leftovers       jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(leftovers) = 'array'),
  CHECK ((outcome = 'running') = (ended_at IS NULL)),
  CHECK ((failure_code IS NULL) = (failure_message IS NULL))
);
CREATE INDEX runs_newest ON holdfast.runs (started_at DESC, run_id DESC);
CREATE INDEX runs_of_vm ON holdfast.runs (engine, vm_id, started_at DESC, run_id DESC);
CREATE INDEX runs_open ON holdfast.runs (engine) WHERE outcome = 'running';

CREATE TABLE holdfast.holdings (
  holding_id  text PRIMARY KEY,
  -- Order of acquisition; undo goes the other way. A clock would not tell two holdings of one millisecond apart.
  sequence    bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  run_id      uuid NOT NULL REFERENCES holdfast.runs,
  engine      text NOT NULL,
  kind        text NOT NULL CHECK (kind IN ('snapshot', 'attachment', 'disk', 'vm')),
  vm_id       uuid,
  object_id   uuid,
  parent_id   uuid,
  snapshot_id uuid,
  mark        text NOT NULL,
  state       text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'released', 'product', 'leftover')),
  held_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX holdings_of_run ON holdfast.holdings (run_id);
CREATE INDEX holdings_open ON holdfast.holdings (engine, vm_id) WHERE state IN ('held', 'leftover');

-- One backup may lie in several repositories (a copied directory): each place is a row.
CREATE TABLE holdfast.backups (
  repository      text NOT NULL,
  backup_id       uuid NOT NULL,
  engine          text NOT NULL,
  vm_id           uuid NOT NULL,
  vm_name         text NOT NULL,
  method          text NOT NULL CHECK (method IN ('appliance')),
  kind            text NOT NULL CHECK (kind IN ('full')),
  base_backup_id  uuid,
  consistency     text NOT NULL CHECK (consistency IN ('application', 'filesystem', 'crash', 'unknown', 'off')),
  created_at      timestamptz NOT NULL,
  sealed_at       timestamptz NOT NULL,
  virtual_bytes   bigint NOT NULL CHECK (virtual_bytes >= 0),
  data_bytes      bigint NOT NULL CHECK (data_bytes >= 0),
  image_bytes     bigint NOT NULL CHECK (image_bytes >= 0),
  manifest_sha256 text NOT NULL CHECK (manifest_sha256 ~ '^[0-9a-f]{64}$'),
  -- When a seal or a rebuild last wrote the row: a rebuild forgets what it did not come across.
  indexed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (repository, backup_id)
);
CREATE INDEX backups_newest ON holdfast.backups (created_at DESC, backup_id DESC, repository);
CREATE INDEX backups_of_vm ON holdfast.backups (engine, vm_id, created_at DESC, backup_id DESC);
CREATE INDEX backups_by_id ON holdfast.backups (backup_id);
CREATE INDEX backups_by_vm_name ON holdfast.backups (vm_name);

CREATE TABLE holdfast.backup_disks (
  repository    text NOT NULL,
  backup_id     uuid NOT NULL,
  -- Order of the disks in the manifest.
  place         integer NOT NULL,
  disk_id       uuid NOT NULL,
  alias         text NOT NULL,
  virtual_bytes bigint NOT NULL CHECK (virtual_bytes >= 0),
  data_bytes    bigint NOT NULL CHECK (data_bytes >= 0),
  root          text NOT NULL,
  PRIMARY KEY (repository, backup_id, place),
  FOREIGN KEY (repository, backup_id) REFERENCES holdfast.backups ON DELETE CASCADE
);

CREATE TABLE holdfast.alerts (
  key       text PRIMARY KEY,
  code      text NOT NULL,
  severity  text NOT NULL CHECK (severity IN ('warning', 'alert')),
  message   text NOT NULL,
  engine    text NOT NULL,
  vm_id     uuid,
  run_id    uuid,
  raised_at timestamptz NOT NULL DEFAULT now()
);
`;
