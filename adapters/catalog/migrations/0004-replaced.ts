// Migration 4: holdings of a VM that a restore replaces, and of its disks.

export const sql = `
ALTER TABLE holdfast.holdings DROP CONSTRAINT holdings_kind_check;
ALTER TABLE holdfast.holdings ADD CONSTRAINT holdings_kind_check
  CHECK (kind IN ('snapshot', 'attachment', 'disk', 'vm', 'replaced-vm', 'replaced-disk'));
`;
