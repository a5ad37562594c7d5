// Migration 7: the log of engine-backup, as the seed "Backup Awareness" defines it: table and procedure have the engine's own names and columns, so
// that engine-backup's call works here unchanged. Unlike the engine's, the procedure refuses a scope or status that it does not know, two finishing
// calls of one scope in one transaction both count (no key over scope and done_at), and no success clears an alert: awareness does, when the backup
// is full. Immutable once released: a change is a new file.

export const sql = `
CREATE TABLE holdfast.engine_backup_log (
  -- Order of the calls: now() is the same for all of one transaction.
  sequence       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  scope          varchar(64) NOT NULL,
  done_at        timestamptz NOT NULL,
  is_passed      boolean NOT NULL,
  output_message text,
  fqdn           varchar(255),
  log_path       text
);
CREATE INDEX engine_backup_log_newest ON holdfast.engine_backup_log (fqdn, scope, done_at DESC) WHERE is_passed;

-- What the engine's event log is to be told, written in the transaction of what it tells of.
CREATE TABLE holdfast.engine_backup_events (
  sequence       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event          text NOT NULL CHECK (event IN ('ENGINE_BACKUP_STARTED', 'ENGINE_BACKUP_COMPLETED', 'ENGINE_BACKUP_FAILED')),
  scope          text NOT NULL,
  done_at        timestamptz NOT NULL,
  output_message text,
  fqdn           text,
  log_path       text,
  forwarded_at   timestamptz
);
CREATE INDEX engine_backup_events_to_forward ON holdfast.engine_backup_events (sequence) WHERE forwarded_at IS NULL;

CREATE FUNCTION holdfast.LogEngineBackupEvent(v_scope varchar(64), v_done_at timestamptz, v_status integer, v_output_message text, v_fqdn varchar(255), v_log_path text)
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
  IF v_scope IS NULL OR v_scope NOT IN ('db', 'files', 'dwhdb', 'reportsdb', 'cinderlib', 'cinderlibdb', 'grafanadb', 'keycloak', 'keycloakdb', 'managedblock') THEN
    RAISE EXCEPTION 'LogEngineBackupEvent: unknown scope %', quote_nullable(v_scope)
      USING ERRCODE = 'invalid_parameter_value', HINT = 'One call per scope: db, files, dwhdb, reportsdb, cinderlib, cinderlibdb, grafanadb, keycloak, keycloakdb or managedblock.';
  END IF;
  IF v_status IS NULL OR v_status NOT IN (-1, 0, 1) THEN
    RAISE EXCEPTION 'LogEngineBackupEvent: unknown status %', quote_nullable(v_status)
      USING ERRCODE = 'invalid_parameter_value', HINT = '-1: failed, 0: started, 1: completed.';
  END IF;
  IF v_done_at IS NULL OR NOT isfinite(v_done_at) THEN
    RAISE EXCEPTION 'LogEngineBackupEvent: done_at is %', quote_nullable(v_done_at)
      USING ERRCODE = 'invalid_parameter_value', HINT = 'The time of the event, as now() gives it.';
  END IF;
  IF length(v_fqdn) > 255 THEN
    RAISE EXCEPTION 'LogEngineBackupEvent: fqdn has % characters', length(v_fqdn)
      USING ERRCODE = 'invalid_parameter_value', HINT = 'The name that engine-setup was given: 255 characters at most.';
  END IF;
  IF v_status <> 0 THEN
    INSERT INTO holdfast.engine_backup_log (scope, done_at, is_passed, output_message, fqdn, log_path)
    VALUES (v_scope, v_done_at, v_status = 1, v_output_message, v_fqdn, v_log_path);
  END IF;
  INSERT INTO holdfast.engine_backup_events (event, scope, done_at, output_message, fqdn, log_path)
  VALUES (CASE v_status WHEN 0 THEN 'ENGINE_BACKUP_STARTED' WHEN 1 THEN 'ENGINE_BACKUP_COMPLETED' ELSE 'ENGINE_BACKUP_FAILED' END, v_scope, v_done_at, v_output_message, v_fqdn, v_log_path);
END
$function$;
REVOKE ALL ON FUNCTION holdfast.LogEngineBackupEvent(varchar, timestamptz, integer, text, varchar, text) FROM PUBLIC;

-- Roles are the whole server's: another database of it may have made this one. Where the catalog's owner may make none, an administrator does
-- (docs/operators.md), and grants what is granted here.
DO $do$
BEGIN
  BEGIN
    CREATE ROLE holdfast_engine_backup NOLOGIN;
  EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN RAISE NOTICE 'the role holdfast_engine_backup was not made: only a role with CREATEROLE can';
  END;
  IF to_regrole('holdfast_engine_backup') IS NOT NULL THEN
    GRANT USAGE ON SCHEMA holdfast TO holdfast_engine_backup;
    GRANT EXECUTE ON FUNCTION holdfast.LogEngineBackupEvent(varchar, timestamptz, integer, text, varchar, text) TO holdfast_engine_backup;
  END IF;
END
$do$;
`;
