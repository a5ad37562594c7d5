// The counts that `npm test` ends with, of reports as jest writes them.
import type { JestReport } from '../../dev/suite-counts.mjs' with { 'resolution-mode': 'import' };

const load = () => import('../../dev/suite-counts.mjs');

/** A report of suites, each a list of its tests' outcomes; a suite without tests could not run. */
function report(suites: Readonly<Record<string, readonly string[]>>): JestReport {
  const statuses = Object.values(suites).flat();
  const count = (wanted: string): number => statuses.filter((status) => status === wanted).length;
  const testResults = Object.entries(suites).map(([name, tests]) => ({ name, status: tests.length === 0 || tests.includes('failed') ? 'failed' : 'passed', assertionResults: tests.map((status) => ({ status })) }));
  const counts = { numPassedTests: count('passed'), numFailedTests: count('failed'), numPendingTests: count('pending'), numTodoTests: count('todo'), numRuntimeErrorTestSuites: Object.values(suites).filter((tests) => tests.length === 0).length };
  return { testResults, ...counts };
}

test('a suite that could not run counts as a failure', async () => {
  const { countsLine, failedSuites } = await load();
  const broken = report({ a: ['passed', 'pending', 'todo'], b: [] });
  expect(countsLine(broken)).toBe('1 passed, 1 failed, 2 skipped');
  expect(failedSuites(broken)).toEqual(['b']);
  expect(failedSuites(undefined)).toEqual([]);
});

test.each([
  ['passes alone', ['passed', 'passed'], '4 passed, 0 failed, 1 skipped'],
  ['fails alone, too', ['passed', 'failed'], '3 passed, 1 failed, 1 skipped'],
  ['cannot even run alone', [], '2 passed, 1 failed, 1 skipped'],
])('a suite that was tried again and %s counts once', async (_what, again, line) => {
  const { countsLine, replaced } = await load();
  const first = report({ a: ['passed', 'passed', 'pending'], b: ['passed', 'failed'] });
  expect(countsLine(replaced(first, report({ b: again }), ['b']))).toBe(line);
});

test('a suite that could not run beside others and passes alone is no failure', async () => {
  const { countsLine, replaced } = await load();
  expect(countsLine(replaced(report({ a: ['passed'], b: [] }), report({ b: ['passed'] }), ['b']))).toBe('2 passed, 0 failed, 0 skipped');
});
