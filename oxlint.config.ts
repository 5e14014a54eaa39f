// Lint rules. A forgotten `await` is the worst bug here, so type-aware rules are on; the import table of the design is enforced below.
import { defineConfig } from 'oxlint';

/** The design's import table: what each folder may import of ours. A folder may always import itself. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  schemas: [],
  'src/model': ['schemas'],
  'src/plan': ['model'],
  'src/config': ['schemas', 'model'],
  'src/discover': ['schemas', 'model'],
  phases: ['model', 'plan', 'discover'],
  'src/machine': ['model', 'phases'],
  'src/processes': ['model'],
  'src/databases': ['model', 'processes'],
  'src/journal': ['model', 'databases'],
  'src/lock': ['model', 'databases'],
  'src/services': ['model', 'processes'],
  'src/report': ['model'],
  'src/steps': ['model', 'databases', 'processes', 'step-api'],
  'src/backup': ['schemas', 'model', 'databases', 'processes'],
  'src/probes': ['model', 'databases', 'processes'],
  'src/sql-lint': ['model'],
  'src/notify': ['model'],
  // Part of the composition root: wires adapters, and is started by nobody but the update manager.
  'src/session': [
    'schemas',
    'model',
    'config',
    'discover',
    'plan',
    'phases',
    'machine',
    'processes',
    'steps',
    'journal',
    'lock',
    'backup',
    'databases',
    'services',
    'probes',
    'report',
    'sql-lint',
    'notify',
    'system-clock',
    'rungs-version',
    'cli/main',
  ],
  'src/serve': ['schemas', 'model', 'plan', 'report', 'update-manager', 'rungs-version'],
  'src/cli': ['model', 'plan', 'report', 'session', 'serve', 'update-manager', 'rungs-version'],
};

const ours = [
  'schemas',
  'phases',
  'model',
  'plan',
  'config',
  'discover',
  'machine',
  'processes',
  'databases',
  'journal',
  'lock',
  'services',
  'report',
  'steps',
  'backup',
  'probes',
  'session',
  'sql-lint',
  'notify',
  'serve',
  'cli',
  'step-api',
  'update-manager',
  'system-clock',
  'index',
];

function forbidden(folder: string, allowed: readonly string[]): ['error', { patterns: { regex: string; message: string }[] }] {
  const self = folder.replace('src/', '');
  const names = ours.filter((name) => name !== self && !allowed.includes(name));
  const message = `${folder} may import ${allowed.length === 0 ? 'nothing of ours' : allowed.join(', ')}: see the import table in docs/architecture.md.`;
  const patterns = [{ regex: `^(\\.\\./)+(src/)?(${names.join('|')})(/|\\.ts$)`, message }];
  // Planning is pure.
  return [
    'error',
    { patterns: folder === 'src/plan' ? [...patterns, { regex: '^node:', message: 'Planning is pure: nothing of Node.' }] : patterns },
  ];
}

export default defineConfig({
  plugins: ['eslint', 'typescript', 'unicorn', 'oxc', 'import', 'promise', 'node'],
  options: { typeAware: true },
  categories: { correctness: 'error', suspicious: 'error', perf: 'off' },
  ignorePatterns: ['dist/**', 'node_modules/**', 'bench/**', 'tests/fixtures/**', 'schemas/json/**', 'coverage/**'],
  rules: {
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/await-thenable': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-non-null-assertion': 'error',
    'typescript/switch-exhaustiveness-check': 'off',
    'typescript/no-unsafe-type-assertion': 'off',
    // `typeof import(…)` is how a module that is loaded lazily gets its type.
    'typescript/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
    'eslint/no-await-in-loop': 'off',
    'eslint/no-shadow': 'off',
    'eslint/no-control-regex': 'off',
    'eslint/eqeqeq': 'error',
    'eslint/no-empty': 'error',
    'unicorn/no-array-sort': 'off',
    'unicorn/no-array-reverse': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'unicorn/require-module-specifiers': 'off',
    'import/no-cycle': 'error',
    'import/no-default-export': 'error',
    'import/no-unassigned-import': 'off',
    'import/no-named-as-default-member': 'off',
    // Our objects are closures: none of their methods knows `this`.
    'typescript/unbound-method': 'off',
    // The compiler checks both, and knows exhaustive switches.
    'typescript/consistent-return': 'off',
    'typescript/no-misused-spread': 'off',
    'typescript/no-unnecessary-type-parameters': 'off',
    'eslint/no-unmodified-loop-condition': 'off',
    'promise/always-return': 'off',
    'promise/no-callback-in-promise': 'off',
  },
  overrides: [
    ...Object.entries(mayImport).map(([folder, allowed]) => ({
      files: [`${folder}/**`],
      rules: { 'eslint/no-restricted-imports': forbidden(folder, allowed) },
    })),
    { files: ['migrations/**', '*.config.ts', 'examples/**'], rules: { 'import/no-default-export': 'off' } },
  ],
});
