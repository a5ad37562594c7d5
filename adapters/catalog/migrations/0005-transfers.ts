// Migration 5: what the method `transfer` holds, why a backup is of its kind, and verifications. Immutable once released: a change is a new file.

export const sql = `
ALTER TABLE holdfast.holdings DROP CONSTRAINT holdings_kind_check;
ALTER TABLE holdfast.holdings ADD CONSTRAINT holdings_kind_check
  CHECK (kind IN ('snapshot', 'attachment', 'vm-backup', 'transfer', 'checkpoint', 'disk', 'vm', 'replaced-vm', 'replaced-disk'));

-- NULL in rows that an older release has written.
ALTER TABLE holdfast.backups ADD COLUMN reason_code text;
ALTER TABLE holdfast.backups ADD COLUMN reason_text text;
ALTER TABLE holdfast.backups ADD COLUMN checkpoint_id uuid;
ALTER TABLE holdfast.backups ADD COLUMN witnessed boolean NOT NULL DEFAULT false;

-- No part of the index of backups: a rebuild must not forget them.
CREATE TABLE holdfast.verifications (
  run_id          uuid NOT NULL REFERENCES holdfast.runs,
  repository      text NOT NULL,
  backup_id       uuid NOT NULL,
  outcome         text NOT NULL CHECK (outcome IN ('passed', 'failed')),
  -- What was read and not known to be zero.
  data_bytes      bigint NOT NULL CHECK (data_bytes >= 0),
  failure_code    text,
  failure_message text,
  verified_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (run_id, repository, backup_id),
  CHECK ((outcome = 'failed') = (failure_code IS NOT NULL)),
  CHECK ((failure_code IS NULL) = (failure_message IS NULL))
);
CREATE INDEX verifications_newest ON holdfast.verifications (repository, backup_id, verified_at DESC);
`;
