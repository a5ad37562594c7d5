// Migration 9: the inventory of VMs, as the engines last listed it, and which of them have no backup as fresh as their objective asks. Both can be
// made anew at any time, by the next evaluation. Immutable once released: a change is a new file.

export const sql = `
-- Every refresh writes seen_at of every row: with room in their pages these updates touch no index.
CREATE TABLE holdfast.vm_inventory (
  engine    text NOT NULL,
  vm_id     uuid NOT NULL,
  name      text NOT NULL,
  -- Only tags that an objective names: they are asked for one by one.
  tags      text[] NOT NULL DEFAULT '{}',
  -- Not judged: an appliance, or the VM that the engine runs in.
  is_exempt boolean NOT NULL DEFAULT false,
  seen_at   timestamptz NOT NULL,
  PRIMARY KEY (engine, vm_id)
) WITH (fillfactor = 50);

-- Only VMs that are not fresh. No foreign key to the inventory: both are written under the lock of their engine, and a hundred thousand checks would
-- cost more than the evaluation.
CREATE TABLE holdfast.vm_awareness (
  engine           text NOT NULL,
  vm_id            uuid NOT NULL,
  -- NULL: no objective covers the VM.
  objective        text,
  state            text NOT NULL CHECK (state IN ('never', 'too-old', 'not-verified', 'uncovered')),
  newest_backup_at timestamptz,
  -- When it came into this state.
  since            timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (engine, vm_id),
  CHECK ((objective IS NULL) = (state = 'uncovered')),
  CHECK (state <> 'never' OR newest_backup_at IS NULL)
);
-- In the order in which they are listed: what has no backup first, then the oldest.
CREATE INDEX vm_awareness_listed ON holdfast.vm_awareness (engine, newest_backup_at NULLS FIRST, vm_id);
`;
