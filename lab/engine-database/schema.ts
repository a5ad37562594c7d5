// What a real engine's database has about backups of the engine: names, columns and behaviour of ovirt-engine's own scripts (engine_backup_log_sp.sql,
// audit_log_sp.sql, create_tables.sql; observed in PostgreSQL 15), in words of our own. Its weaknesses are kept: no scope is checked, a status that it
// does not know is ignored in silence, two finishing calls of a scope in one transaction collide, and any success clears every alert.

export const schema = `
CREATE SEQUENCE IF NOT EXISTS audit_log_seq;

-- Only what these procedures write and the event list shows: the real table has users, hosts, VMs and more.
CREATE TABLE IF NOT EXISTS audit_log (
  audit_log_id       bigint PRIMARY KEY DEFAULT nextval('audit_log_seq'),
  log_time           timestamptz NOT NULL,
  log_type_name      varchar(100) DEFAULT '',
  log_type           integer NOT NULL,
  severity           integer NOT NULL,
  message            text NOT NULL,
  processed          boolean NOT NULL DEFAULT false,
  correlation_id     varchar(50),
  origin             varchar(255) DEFAULT 'oVirt',
  custom_event_id    integer DEFAULT -1,
  event_flood_in_sec integer DEFAULT 30,
  custom_data        text DEFAULT '',
  deleted            boolean DEFAULT false
);

CREATE TABLE IF NOT EXISTS engine_backup_log (
  scope          varchar(64) NOT NULL,
  done_at        timestamptz NOT NULL,
  is_passed      boolean,
  output_message text,
  fqdn           varchar(255),
  log_path       text,
  PRIMARY KEY (scope, done_at)
);

CREATE OR REPLACE FUNCTION DeleteBackupRelatedAlerts() RETURNS void
LANGUAGE sql
AS $f$
  UPDATE audit_log SET deleted = true WHERE origin = 'oVirt' AND log_type = ANY (ARRAY[9022, 9023, 9026]);
$f$;

CREATE OR REPLACE FUNCTION GetLastSuccessfulEngineBackup(v_scope varchar(64)) RETURNS SETOF engine_backup_log
LANGUAGE sql STABLE
AS $f$
  SELECT * FROM engine_backup_log WHERE scope = v_scope AND is_passed ORDER BY done_at DESC LIMIT 1;
$f$;

CREATE OR REPLACE FUNCTION LogEngineBackupEvent(v_scope varchar(64), v_done_at timestamptz, v_status integer, v_output_message text, v_fqdn varchar(255), v_log_path text) RETURNS void
LANGUAGE plpgsql
AS $f$
DECLARE
  told record;
BEGIN
  SELECT name, code, severity INTO told
  FROM (VALUES (-1, 'ENGINE_BACKUP_FAILED', 9026, 2), (0, 'ENGINE_BACKUP_STARTED', 9024, 0), (1, 'ENGINE_BACKUP_COMPLETED', 9025, 0)) AS events (status, name, code, severity)
  WHERE status = v_status;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF v_status <> 0 THEN
    INSERT INTO engine_backup_log VALUES (v_scope, v_done_at, v_status = 1, v_output_message, v_fqdn, v_log_path);
  END IF;
  IF v_status = 1 THEN
    PERFORM DeleteBackupRelatedAlerts();
  END IF;
  INSERT INTO audit_log (log_time, log_type_name, log_type, severity, message) VALUES (v_done_at, told.name, told.code, told.severity, v_output_message);
END
$f$;

-- The account that docs/operators.md recommends for reading the log of a real engine. Roles are the whole server's: the launcher makes it with a password.
DO $do$
BEGIN
  IF to_regrole('holdfast_reader') IS NULL THEN
    CREATE ROLE holdfast_reader NOLOGIN;
  END IF;
EXCEPTION
  WHEN duplicate_object OR unique_violation THEN NULL;
END
$do$;
GRANT USAGE ON SCHEMA public TO holdfast_reader;
GRANT SELECT ON engine_backup_log TO holdfast_reader;
`;
