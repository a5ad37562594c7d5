// Migration 6: guests that Holdfast freezes by itself are held. Immutable once released: a change is a new file.

export const sql = `
ALTER TABLE holdfast.holdings DROP CONSTRAINT holdings_kind_check;
ALTER TABLE holdfast.holdings ADD CONSTRAINT holdings_kind_check
  CHECK (kind IN ('snapshot', 'attachment', 'vm-backup', 'transfer', 'checkpoint', 'disk', 'vm', 'replaced-vm', 'replaced-disk', 'freeze'));
`;
