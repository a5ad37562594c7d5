// Jest on swc: CommonJS output, type checking is `npm run typecheck`'s job.
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript', decorators: false }, target: 'es2022' }, module: { type: 'commonjs' }, sourceMaps: 'inline' }] },
  maxWorkers: 2,
  testTimeout: 60_000,
};
