// The tiny guest's build: two set-ups may race in one cache, the result is the same whoever wins, and a second look builds nothing.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

jest.setTimeout(180_000);
const run = promisify(execFile);
const builder = path.resolve(__dirname, '../../../dev/guest.mjs');

let cacheDir: string;
beforeAll(async () => {
  cacheDir = await fs.mkdtemp(path.join(os.tmpdir(), 'hf-guest-'));
});
afterAll(() => fs.rm(cacheDir, { recursive: true, force: true }));

const build = async (cache: string): Promise<{ directory: string; said: string }> => {
  const { stdout, stderr } = await run(process.execPath, [builder, cache], { timeout: 170_000 });
  return { directory: stdout.trim(), said: stderr };
};

async function digests(directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of (await fs.readdir(directory)).sort()) found[name] = createHash('sha256').update(await fs.readFile(path.join(directory, name))).digest('hex');
  return found;
}

it('is reproducible, survives a race, and is done once', async () => {
  const [one, other] = await Promise.all([build(cacheDir), build(cacheDir)]);
  expect(one.directory).toBe(other.directory);
  expect(await fs.readdir(path.join(cacheDir, 'guest'))).toEqual([path.basename(one.directory)]);
  const first = await digests(one.directory);
  expect(Object.keys(first)).toEqual(['guest.json', 'initrd.zst', 'vmlinux']);
  expect((await fs.readFile(path.join(one.directory, 'vmlinux'))).toString('latin1', 1, 4)).toBe('ELF');

  expect((await build(cacheDir)).said).toBe('');
  const elsewhere = await build(path.join(cacheDir, 'elsewhere'));
  expect(path.basename(elsewhere.directory)).toBe(path.basename(one.directory));
  expect(await digests(elsewhere.directory)).toEqual(first);
});
