// The order of suites: those that start whole stacks come first. Jest orders by the last run's durations, which a fresh clone (CI) does not
// have; by file size instead, the crash suite's four minutes would come last and alone.
const { default: Sequencer } = require('@jest/test-sequencer');
const path = require('node:path');

const longest = ['test/crash/', 'test/e2e/', 'test/workflows/', 'test/client/', 'test/dev/parts', 'test/lab/sdk/', 'test/replay/', 'test/activities/'];

module.exports = class LongestFirst extends Sequencer {
  sort(tests) {
    const rank = ({ path: file, context }) => {
      const name = path.relative(context.config.rootDir, file).split(path.sep).join('/');
      const index = longest.findIndex((folder) => name.startsWith(folder));
      return index === -1 ? longest.length : index;
    };
    // A stable sort: within a folder Jest's own order stays.
    return super.sort(tests).sort((one, other) => rank(one) - rank(other));
  }
};
