// Directories that go with the process, for what many suites share or what is made where no hook is near.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export function temporaryDirectory(purpose: string): string {
  const directory = mkdtempSync(path.join(tmpdir(), `holdfast-${purpose}-`));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
