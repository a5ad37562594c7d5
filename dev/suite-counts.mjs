// What jest's report (--json) says, in counts: of one run, and of a run some suites of which were tried again. Pure.

export function countsLine({ numPassedTests, numFailedTests, numPendingTests, numTodoTests, numRuntimeErrorTestSuites }) {
  // A suite that could not run at all has no tests to count, and must not look like nothing happened.
  return `${numPassedTests} passed, ${numFailedTests + numRuntimeErrorTestSuites} failed, ${numPendingTests + numTodoTests} skipped`;
}

export const failedSuites = (results) => (results?.testResults ?? []).filter(({ status }) => status === 'failed').map(({ name }) => name);

/** The counts of the first run, with the suites of the second in the place of their first try. */
export function replaced(first, second, suites) {
  const tries = first.testResults.filter(({ name }) => suites.includes(name));
  const count = (status) => tries.flatMap(({ assertionResults }) => assertionResults).filter((test) => test.status === status).length;
  const broken = tries.filter(({ assertionResults }) => assertionResults.length === 0).length;
  return {
    numPassedTests: first.numPassedTests - count('passed') + second.numPassedTests,
    numFailedTests: first.numFailedTests - count('failed') + second.numFailedTests,
    numPendingTests: first.numPendingTests - count('pending') + second.numPendingTests,
    numTodoTests: first.numTodoTests - count('todo') + second.numTodoTests,
    numRuntimeErrorTestSuites: first.numRuntimeErrorTestSuites - broken + second.numRuntimeErrorTestSuites,
  };
}
