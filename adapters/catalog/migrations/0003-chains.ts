// Migration 3: backups by image transfer, and backups that lie on others. Immutable once released: a change is a new file.

export const sql = `
ALTER TABLE holdfast.backups DROP CONSTRAINT backups_method_check;
ALTER TABLE holdfast.backups DROP CONSTRAINT backups_kind_check;
ALTER TABLE holdfast.backups ADD CONSTRAINT backups_method_check CHECK (method IN ('appliance', 'transfer'));
ALTER TABLE holdfast.backups ADD CONSTRAINT backups_kind_check CHECK (kind IN ('full', 'incremental', 'differential'));
`;
