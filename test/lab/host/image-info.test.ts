// What the lab's host remembers of images, by the real qemu-img: an answer is used again as long as the file is the same, and never longer.
import { execFileSync } from 'node:child_process';
import { mkdtemp, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ImageInfos } from '../../../lab/host/image-info';
import { runTool } from '../../../lab/host/tools';

/** Longer than files must have been left alone. */
const settledMs = 200;
let directory: string;
let infos: ImageInfos;
let asked: number;
const at = (name: string): string => path.join(directory, name);
const qemuImg = (...args: readonly string[]): void => void execFileSync('qemu-img', args);

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'hf-image-info-'));
  asked = 0;
  infos = new ImageInfos((...tool) => {
    asked += 1;
    return runTool(...tool);
  });
  qemuImg('create', '-q', '-f', 'qcow2', at('base'), '8M');
  qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', at('top'));
  await sleep(settledMs);
});

afterEach(() => rm(directory, { recursive: true, force: true }));

test('an image and its chain are asked about once', async () => {
  const chain = await infos.chain(at('top'), 'qcow2');
  expect(chain.map(({ filename, format, 'virtual-size': bytes }) => ({ filename, format, bytes }))).toEqual(['top', 'base'].map((name) => ({ filename: at(name), format: 'qcow2', bytes: 8 * 1024 ** 2 })));
  expect(await infos.chain(at('top'), 'qcow2')).toEqual(chain);
  expect(await infos.one(at('base'), 'qcow2')).toEqual(chain[1]);
  expect(asked).toBe(2);
});

test('one that has changed is asked about again, whatever its size and time say', async () => {
  await infos.one(at('base'), 'qcow2');
  qemuImg('bitmap', '--add', '-f', 'qcow2', at('base'), 'checkpoint');
  await utimes(at('base'), new Date(0), new Date(0));
  expect((await infos.one(at('base'), 'qcow2'))['format-specific']?.data?.bitmaps).toEqual([expect.objectContaining({ name: 'checkpoint' })]);
  expect(asked).toBe(2);
});

test('one that was changed just now is not remembered: another change may leave the same time', async () => {
  qemuImg('bitmap', '--add', '-f', 'qcow2', at('base'), 'checkpoint');
  // However slow the machine is: it is still to come.
  await utimes(at('base'), new Date(), new Date(Date.now() + 60_000));
  await infos.one(at('base'), 'qcow2');
  await infos.one(at('base'), 'qcow2');
  expect(asked).toBe(2);
});

test('another file under the same name is another image', async () => {
  await infos.one(at('base'), 'qcow2');
  qemuImg('create', '-q', '-f', 'qcow2', at('other'), '16M');
  await rename(at('other'), at('base'));
  expect((await infos.one(at('base'), 'qcow2'))['virtual-size']).toBe(16 * 1024 ** 2);
});

test.each([
  ['damaged', async () => truncate(at('base'), 0)],
  ['gone', async () => rm(at('base'))],
  ['no image of the format any more', async () => { await rm(at('base')); await writeFile(at('base'), 'x'.repeat(1024)); }],
])('what is %s is so at once, also below', async (_what, spoil) => {
  await infos.chain(at('top'), 'qcow2');
  await spoil();
  await expect(infos.one(at('base'), 'qcow2')).rejects.toThrow();
  await expect(infos.chain(at('top'), 'qcow2')).rejects.toThrow();
});

test('asked about as another format it is not what it was', async () => {
  expect((await infos.one(at('base'), 'qcow2')).format).toBe('qcow2');
  expect((await infos.one(at('base'), 'raw')).format).toBe('raw');
});
