// The state directory and the note in it about what runs there. No npm packages: this is needed before they are installed.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkout } from '../setup/shell.mjs';

export function stateDirectory(named = process.env.HOLDFAST_STATE) {
  return resolve(named || join(checkout, '.state'));
}

/** What runs on a state directory, for other programs: addresses and file names, no secrets. */
export const partsFile = (state) => join(state, 'parts.json');

export function readParts(state) {
  return existsSync(partsFile(state)) ? JSON.parse(readFileSync(partsFile(state), 'utf8')) : undefined;
}
