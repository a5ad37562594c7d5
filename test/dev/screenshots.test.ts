// The pictures of docs/operators.md without a browser: they are there, they are pictures, and the script that takes them asks something of
// every page. That the pages answer is proven by `npm run screenshots`.
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { crc32, deflateSync, inflateSync } from 'node:zlib';
import { searchAttributes } from '../../workflows/messages';

const root = path.resolve(__dirname, '../..');
const folder = path.join(root, 'docs/screenshots');
const shown = [...readFileSync(path.join(root, 'docs/operators.md'), 'utf8').matchAll(/!\[[^\]]+\]\(screenshots\/([a-z-]+)\.png\)/g)].map(([, name]) => name);
const list = () => import('../../dev/screenshots/pages.mjs');

/** Signature and header of a PNG: its first chunk begins with width and height. */
function sizeOf(png: Buffer): { readonly width: number; readonly height: number } {
  expect(png.subarray(0, 8)).toEqual(Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'));
  expect(png.subarray(12, 16).toString('latin1')).toBe('IHDR');
  return { width: png.readUInt32BE(16), height: png.readUInt32BE(20) };
}

test('docs/operators.md shows every page that the script takes, and the folder has no other', async () => {
  const names = (await list()).pages.map(({ name }) => name);
  expect(shown).toEqual(names);
  expect(readdirSync(folder).sort()).toEqual(names.map((name) => `${name}.png`).sort());
});

test('each is a picture of the size that the script asks for, and small', async () => {
  for (const { name, height } of (await list()).pages) {
    const png = readFileSync(path.join(folder, `${name}.png`));
    expect([name, sizeOf(png)]).toEqual([name, { width: 1280, height }]);
    expect(png.length).toBeGreaterThan(10_000);
    expect(png.length).toBeLessThanOrEqual(200_000);
    expect([name, png[25]]).toEqual([name, 3]);
  }
});

test('every page must answer something, and an empty page answers nothing', async () => {
  const { pages, unanswered } = await list();
  for (const page of pages) {
    expect([page.name, Object.keys(page.says).length]).not.toEqual([page.name, 0]);
    expect(unanswered(page, '')).toEqual(Object.keys(page.says));
  }
  expect(new Set(pages.flatMap(({ at }) => (at === 'list' ? [] : [at.run])))).toEqual(new Set(['running', 'failed', 'cancelled']));
});

test('the list\'s columns are search attributes that there are, or the UI\'s own', async () => {
  const { listColumns, columnsOfUi } = await list();
  const known = [...columnsOfUi, ...Object.values(searchAttributes).map(({ name }) => name)];
  expect(listColumns.filter((column) => !known.includes(column))).toEqual([]);
});

test('the browser is what HOLDFAST_CHROMIUM names, which must exist', async () => {
  const { ensureBrowser } = await import('../../dev/setup/browser.mjs');
  const say = (line: string): never => { throw new Error(`nothing is to be brought: ${line}`); };
  const named = (HOLDFAST_CHROMIUM: string) => ensureBrowser({ cacheDir: folder, say, env: { HOLDFAST_CHROMIUM } });
  expect((await named(process.execPath)).path).toBe(process.execPath);
  await expect(named('/no/such/browser')).rejects.toThrow('HOLDFAST_CHROMIUM names /no/such/browser, which does not exist');
});

test('only the screenshots want a browser: set-up for npm start and npm test brings none', async () => {
  expect((await import('../../dev/setup.mjs')).usualWants).not.toContain('browser');
  expect(readFileSync(path.join(root, 'dev/test.mjs'), 'utf8')).not.toContain('browser');
});

describe('the pictures are packed with a palette', () => {
  const width = 4;
  const colors = [[10, 20, 30], [200, 100, 50], [0, 0, 0], [255, 255, 255], [7, 77, 177]] as const;
  const colorAt = (x: number, y: number): readonly number[] => colors[(x * 3 + y * y) % colors.length] ?? [];
  const byteAt = (index: number, y: number): number => (index < 0 || y < 0 ? 0 : (colorAt(Math.floor(index / 3), y)[index % 3] ?? 0));

  /** PNG's specification, section 9.2: what a filter takes away from a byte. */
  function predicted(filter: number, left: number, up: number, corner: number): number {
    const paeth = [left, up, corner].sort((one, other) => Math.abs(left + up - corner - one) - Math.abs(left + up - corner - other))[0] ?? 0;
    return [0, left, up, Math.floor((left + up) / 2), paeth][filter] ?? 0;
  }

  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };

  /** One row by each filter; the data in two pieces, as encoders may write it. */
  function rgbPicture(height: number, bits = 8): Buffer {
    const rows = Array.from({ length: height }, (_, y) => {
      const filter = y % 5;
      return [filter, ...Array.from({ length: width * 3 }, (_byte, index) => (byteAt(index, y) - predicted(filter, byteAt(index - 3, y), byteAt(index, y - 1), byteAt(index - 3, y - 1)) + 256) % 256)];
    });
    const header = Buffer.from([0, 0, 0, width, 0, 0, 0, height, bits, 2, 0, 0, 0]);
    const data = deflateSync(Buffer.from(rows.flat()));
    return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', header), chunk('IDAT', data.subarray(0, 5)), chunk('IDAT', data.subarray(5)), chunk('IEND', Buffer.alloc(0))]);
  }

  const dataOf = (png: Buffer, type: string): Buffer => {
    const at = png.indexOf(type, 0, 'latin1');
    return png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4));
  };

  test('and every pixel stays, whatever the rows were filtered with', async () => {
    const { shrinkPng } = await import('../../dev/screenshots/shrink-png.mjs');
    const height = 10;
    const shrunk = shrinkPng(rgbPicture(height));
    expect(sizeOf(shrunk)).toEqual({ width, height });
    const palette = dataOf(shrunk, 'PLTE');
    const rows = inflateSync(dataOf(shrunk, 'IDAT'));
    for (let y = 0; y < height; y += 1) {
      expect(rows[y * (width + 1)]).toBe(0);
      for (let x = 0; x < width; x += 1) {
        const place = rows[y * (width + 1) + 1 + x] ?? 0;
        expect([...palette.subarray(place * 3, place * 3 + 3)]).toEqual(colorAt(x, y));
      }
    }
  });

  test('or refused when it is another kind of picture', async () => {
    const { shrinkPng } = await import('../../dev/screenshots/shrink-png.mjs');
    expect(() => shrinkPng(rgbPicture(5, 16))).toThrow('not RGB with 8 bits');
  });
});
