// Migration 2: copy slots, the line of copies that wait and run. Immutable once released: a change is a new file.

export const sql = `
CREATE TABLE holdfast.copy_slots (
  slot_id           text PRIMARY KEY,
  -- The order of asking. A clock would not tell two requests of one microsecond apart.
  sequence          bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  engine            text NOT NULL,
  run_id            uuid NOT NULL REFERENCES holdfast.runs,
  disk_id           uuid NOT NULL,
  storage_domain_id uuid,
  -- The Temporal execution that asked: when it is over, the slot has no owner, whatever the catalog says about its run.
  namespace         text NOT NULL,
  workflow_id       text NOT NULL,
  execution_id      text NOT NULL,
  state             text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'held', 'released')),
  checked_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX copy_slots_open ON holdfast.copy_slots (engine, sequence) WHERE state <> 'released';
CREATE INDEX copy_slots_of_run ON holdfast.copy_slots (run_id);
`;
