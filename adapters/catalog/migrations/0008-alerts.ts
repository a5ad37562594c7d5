// Migration 8: alerts keep their history, and what is told of them elsewhere waits in an outbox. Immutable once released: a change is a new file.

export const sql = `
ALTER TABLE holdfast.alerts DROP CONSTRAINT alerts_pkey;
ALTER TABLE holdfast.alerts
  ADD COLUMN alert_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- What the alert was judged by.
  ADD COLUMN evidence        jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(evidence) = 'object'),
  ADD COLUMN acknowledged_at timestamptz,
  ADD COLUMN reminded_at     timestamptz,
  ADD COLUMN cleared_at      timestamptz,
  ADD COLUMN cleared_why     text,
  -- The event that shows it in the engine's own log.
  ADD COLUMN engine_event_id text,
  ADD CHECK ((cleared_at IS NULL) = (cleared_why IS NULL));
-- However many checks run at once, and whatever dies between them: one open alert per key.
CREATE UNIQUE INDEX alerts_open ON holdfast.alerts (key) WHERE cleared_at IS NULL;
CREATE INDEX alerts_newest ON holdfast.alerts (raised_at DESC, key);

-- One row per sink, written in the transaction of what it tells of: a sink that is down holds up no other and loses nothing.
CREATE TABLE holdfast.notices (
  notice_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  engine       text NOT NULL,
  sink         text NOT NULL,
  kind         text NOT NULL CHECK (kind IN ('raised', 'reminded', 'cleared', 'engine-backup')),
  alert_id     bigint REFERENCES holdfast.alerts,
  code         text NOT NULL,
  severity     text NOT NULL CHECK (severity IN ('normal', 'warning', 'error', 'alert')),
  message      text NOT NULL,
  evidence     jsonb NOT NULL DEFAULT '{}',
  vm_id        uuid,
  written_at   timestamptz NOT NULL DEFAULT now(),
  -- Of the event in the engine's log, taken before it is posted: a lost reply is found again by it.
  custom_id    integer,
  delivered_at timestamptz,
  CHECK ((kind = 'engine-backup') = (alert_id IS NULL))
);
CREATE INDEX notices_due ON holdfast.notices (engine, sink, notice_id) WHERE delivered_at IS NULL;
-- An engine takes a custom id once (of each origin), so they are never given twice.
CREATE SEQUENCE holdfast.engine_event_custom_ids AS integer;

-- What an operator has set, over the worker's configuration.
CREATE TABLE holdfast.awareness_settings (
  engine             text PRIMARY KEY,
  check_period_hours double precision,
  alert_period_days  double precision,
  set_at             timestamptz NOT NULL DEFAULT now()
);

-- What the last check found: the metrics of every worker tell the same.
CREATE TABLE holdfast.engine_backup_findings (
  engine       text PRIMARY KEY,
  state        text NOT NULL,
  backed_up_at timestamptz,
  judged_at    timestamptz NOT NULL DEFAULT now()
);
`;
