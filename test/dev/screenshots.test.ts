// The pictures of docs/operators.md without a browser: they are there, they are pictures, and the script that takes them asks something of
// every page. That the pages answer is proven by `npm run screenshots`.
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
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
