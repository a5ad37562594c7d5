// Lint proves two things: strict TypeScript, and the import arrows of docs/design.md (section "Layout and arrows"). Rules that must know types, and that
// no import leads back to where it came from, are oxlint's part (.oxlintrc.json): it takes 13 seconds of processor time, where eslint took 50, and a plugin for the cycles 16 more.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** What each room may never import, and why: the message is what a contributor reads. */
const rooms = ['domain', 'workflows', 'activities', 'adapters', 'worker', 'client', 'lab', 'dev', 'test', 'bench'];
const arrows = {
  domain: [],
  workflows: ['domain', 'activities'],
  activities: ['adapters', 'domain'],
  adapters: ['domain'],
  client: ['workflows', 'domain'],
  worker: ['workflows', 'activities', 'adapters', 'domain'],
  lab: [],
  bench: ['activities', 'adapters', 'domain', 'client'],
};
const httpPackages = ['undici', 'node:http', 'node:https', 'http', 'https'];
const ioBuiltins = ['node:fs', 'node:fs/promises', 'node:net', 'node:child_process', 'node:http', 'node:https', 'node:worker_threads', 'node:os', 'node:crypto', 'node:path', 'node:timers/promises'];

const forbidPackages = (names, why) => [...new Set(names)].map((name) => ({ name, message: why }));

function roomRules(room, { packages = [], extraPatterns = [] } = {}) {
  const closed = rooms.filter((other) => other !== room && !arrows[room].includes(other));
  return {
    files: [`${room}/**/*.ts`],
    rules: {
      '@typescript-eslint/no-restricted-imports': ['error', {
        paths: packages,
        patterns: [
          // Relative paths only leave a room through `../<other room>/`, however deep the importer sits.
          { regex: `^(\\.\\./)+(${closed.join('|')})(/|$)`, message: `${room}/ may import only: ${arrows[room].join(', ') || 'nothing of the product'} (docs/design.md, arrows).` },
          ...extraPatterns,
        ],
      }],
    },
  };
}

export default tseslint.config(
  { ignores: ['.bundles/**', 'node_modules/', 'dist/', 'coverage/', '.state/', 'test/histories/*/*.json'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strict],
    rules: {
      eqeqeq: 'error',
      'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      'no-restricted-properties': ['error', { object: 'process', property: 'env', message: 'process.env is read only in config files (worker/config.ts, client/config.ts, lab/config.ts).' }],
    },
  },
  { files: ['**/config.ts', 'dev/**', 'test/**', 'bench/**'], rules: { 'no-restricted-properties': 'off' } },
  roomRules('domain', { packages: forbidPackages([...ioBuiltins, ...httpPackages, 'pg'], 'domain/ is pure: no I/O, no clock.') }),
  { files: ['domain/**/*.ts', 'workflows/**/*.ts'], rules: { 'no-restricted-globals': ['error', { name: 'process', message: 'pure code: no process.' }, { name: 'fetch', message: 'pure code: no I/O.' }] } },
  { files: ['domain/**/*.ts'], rules: { 'no-restricted-syntax': ['error', { selector: "CallExpression[callee.object.name='Date'][callee.property.name='now'], NewExpression[callee.name='Date'][arguments.length=0], CallExpression[callee.object.name='Math'][callee.property.name='random']", message: 'domain/ has no clock and no dice: take time and ids as arguments.' }] } },
  roomRules('workflows', {
    packages: forbidPackages([...ioBuiltins, ...httpPackages, 'pg', '@temporalio/client', '@temporalio/worker', '@temporalio/activity'], 'workflows are replayed: they import @temporalio/workflow, domain/ and types of activities/ only.'),
    extraPatterns: [{ regex: '^(\\.\\./)+activities(/|$)', allowTypeImports: true, message: 'workflows import only types from activities/.' }],
  }),
  roomRules('activities', { packages: forbidPackages([...httpPackages, 'pg'], 'HTTP and SQL live in adapters/.') }),
  roomRules('adapters'),
  { files: ['adapters/{blocks,repository}/**/*.ts'], rules: { 'no-restricted-syntax': ['error', { selector: "ImportDeclaration[source.value=/^(pg|undici|node:https?)$/]", message: 'pg only in adapters/catalog, HTTP only in adapters/ovirt and adapters/imageio.' }] } },
  { files: ['adapters/{ovirt,imageio}/**/*.ts'], rules: { 'no-restricted-syntax': ['error', { selector: "ImportDeclaration[source.value='pg']", message: 'pg only in adapters/catalog.' }] } },
  { files: ['adapters/catalog/**/*.ts'], rules: { 'no-restricted-syntax': ['error', { selector: "ImportDeclaration[source.value=/^(undici|node:https?)$/]", message: 'HTTP only in adapters/ovirt and adapters/imageio.' }] } },
  roomRules('worker', { packages: forbidPackages([...httpPackages, 'pg'], 'HTTP and SQL live in adapters/.') }),
  roomRules('client', { packages: forbidPackages([...httpPackages, 'pg'], 'A client needs Temporal and nothing else.') }),
  roomRules('lab'),
  { files: ['lab/**/*.ts'], rules: { 'no-restricted-syntax': ['error', { selector: "ImportDeclaration[source.value=/^@temporalio/]", message: 'lab/ shares only HTTP with the product.' }] } },
  roomRules('bench'),
  { files: ['test/**/*.ts'], rules: { '@typescript-eslint/no-non-null-assertion': 'error' } },
  { files: ['**/*.mjs', '**/*.cjs'], languageOptions: { globals: { process: 'readonly', console: 'readonly', setTimeout: 'readonly', clearTimeout: 'readonly', setInterval: 'readonly', clearInterval: 'readonly', Buffer: 'readonly', URL: 'readonly', fetch: 'readonly', AbortSignal: 'readonly', AbortController: 'readonly', module: 'writable', require: 'readonly', __dirname: 'readonly' } } },
);
