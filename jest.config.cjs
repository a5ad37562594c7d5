// Jest on swc: CommonJS output, type checking is `npm run typecheck`'s job. dev/*.mjs are transformed too, so that tests
// can import the launcher (`await import('../../dev/parts.mjs')`).
const swc = (parser) => ['@swc/jest', { jsc: { parser, target: 'es2022' }, module: { type: 'commonjs' }, sourceMaps: 'inline' }];

module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  moduleFileExtensions: ['js', 'mjs', 'cjs', 'ts', 'json', 'node'],
  transform: { '\\.ts$': swc({ syntax: 'typescript', decorators: false }), '\\.mjs$': swc({ syntax: 'ecmascript' }) },
  // On two cores: most suites wait for a server, a guest or a deadline more than they compute (measured: four suites at once left 15 % of the CPU idle, five leave 1 %).
  maxWorkers: 5,
  testSequencer: '<rootDir>/test/support/longest-first.cjs',
  testTimeout: 60_000,
};
