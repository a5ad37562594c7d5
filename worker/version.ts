// Our own version, written into manifests.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

function readVersion(): string {
  // worker/ and dist/worker/: package.json lies one or two directories up.
  for (const up of ['..', '../..']) {
    try {
      return (JSON.parse(readFileSync(join(__dirname, up, 'package.json'), 'utf8')) as { version: string }).version;
    } catch {
      continue;
    }
  }
  return 'unknown';
}

export const version = readVersion();
