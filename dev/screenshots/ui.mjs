// Temporal's UI in headless Chromium: opens pages as an operator does, waits until they say what they must, and takes pictures. A page that
// does not say it is loaded again until the deadline: the UI shows a run's details as they were when it was loaded.
import { chromium } from 'playwright-core';
import { columnsOfUi, listColumns, listQuery, unanswered } from './pages.mjs';

const width = 1280;
/** For all questions of a page together; a busy machine takes its time. */
const pageSeconds = 120;
const loadSeconds = 20;

export class Unsaid extends Error {
  constructor(page, questions, text) {
    super(`the page "${page.name}" does not say: ${questions.join('; ')}\nIt says:\n${text.replace(/^/gm, '    ')}`);
  }
}

export async function openUi({ browser: { path, env }, uiUrl, namespace }) {
  // Nothing but the UI on this machine is opened, and Chromium's sandbox works neither for root nor unpacked. Letters without coloured
  // fringes make small pictures.
  const browser = await chromium.launch({ executablePath: path, env, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-lcd-text'] });
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: 'light', timezoneId: 'UTC', locale: 'en-US' });
  page.setDefaultTimeout(pageSeconds * 1000);
  const base = `${uiUrl}/namespaces/${encodeURIComponent(namespace)}/workflows`;
  return {
    chooseColumns: () => chooseColumns(page, base),
    show: (wanted, runs) => show(page, wanted, urlOf(base, wanted, runs)),
    picture: ({ from = 0, height }) => page.screenshot({ animations: 'disabled', caret: 'hide', clip: { x: 0, y: from, width, height } }),
    close: () => browser.close(),
  };
}

function urlOf(base, { at }, runs) {
  if (at === 'list') return `${base}?query=${encodeURIComponent(listQuery)}`;
  const { workflowId, temporalRunId } = runs[at.run];
  return `${base}/${encodeURIComponent(workflowId)}/${temporalRunId}/${at.tab}`;
}

/** As docs/operators.md tells operators to do it. The UI keeps it in the browser. */
async function chooseColumns(page, base) {
  await page.goto(base);
  await page.getByTestId('workflows-summary-table-configuration-button').click();
  const press = (label, what) => page.getByTestId(`orderable-list-item-${label}-${what}-button`).click();
  const [first, ...others] = listColumns;
  for (const label of columnsOfUi.filter((each) => each !== first)) await press(label, 'remove');
  for (const label of others) await press(label, 'add');
  await page.getByTestId('drawer-close-button').click();
  await page.getByLabel('Collapse saved views').click();
}

async function show(page, wanted, url) {
  await page.setViewportSize({ width, height: (wanted.from ?? 0) + wanted.height });
  const endsAt = Date.now() + pageSeconds * 1000;
  for (;;) {
    await page.goto(url);
    const { missing, text } = await settle(page, wanted, Math.min(endsAt, Date.now() + loadSeconds * 1000));
    if (missing.length === 0) return;
    if (Date.now() >= endsAt) throw new Unsaid(wanted, missing, text);
  }
}

/** Until the page says everything, or the time is over. */
async function settle(page, wanted, endsAt) {
  for (;;) {
    const text = await visibleText(page);
    const missing = unanswered(wanted, text);
    if (missing.length === 0) {
      await page.evaluate('document.fonts.ready.then(() => undefined)');
      return { missing, text };
    }
    if (Date.now() >= endsAt) return { missing, text };
    await page.waitForTimeout(250);
  }
}

/** What the UI shows of a run's details is in frames of their own. One that is just being loaded has no text yet. */
async function visibleText(page) {
  const texts = await Promise.all(page.frames().map((frame) => frame.evaluate("document.body?.innerText ?? ''").catch(() => '')));
  return texts.join('\n');
}
