// Migration 10: VMs that the configuration exempts from backups are listed too. Immutable once released: a change is a new file.

export const sql = `
ALTER TABLE holdfast.vm_awareness DROP CONSTRAINT vm_awareness_state_check;
ALTER TABLE holdfast.vm_awareness ADD CONSTRAINT vm_awareness_state_check
  CHECK (state IN ('never', 'too-old', 'not-verified', 'uncovered', 'exempt'));
`;
