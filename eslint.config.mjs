import stylistic from '@stylistic/eslint-plugin';
import tseslint from 'typescript-eslint';

/** tap awaits its own subtests. */
const SUBTEST = { from: 'package', package: '@tapjs/core', name: 'PromiseWithSubtest' };

export default tseslint.config({
  files: ['**/*.ts'],
  languageOptions: {
    parser: tseslint.parser,
    parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
  },
  plugins: { '@typescript-eslint': tseslint.plugin, '@stylistic': stylistic },
  linterOptions: { reportUnusedDisableDirectives: 'error' },
  rules: {
    // A rejected promise that nobody awaits ends the process, with or without `void` before it.
    '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: false, allowForKnownSafePromises: [SUBTEST] }],
    '@typescript-eslint/no-misused-promises': 'error',
    '@typescript-eslint/await-thenable': 'error',
    '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
    '@typescript-eslint/only-throw-error': 'error',
    '@typescript-eslint/no-explicit-any': 'error',
    '@typescript-eslint/no-for-in-array': 'error',
    '@typescript-eslint/no-unnecessary-type-assertion': 'error',
    '@typescript-eslint/consistent-type-imports': 'error',
    'no-duplicate-imports': ['error', { allowSeparateTypeImports: true }],
    'no-restricted-syntax': [
      'error',
      {
        selector: 'ImportSpecifier[importKind="type"]',
        message: 'Import types by a statement of their own: import type.',
      },
      {
        selector:
          ':matches(Program, ExportNamedDeclaration) > VariableDeclaration[kind="const"] > ' +
          'VariableDeclarator[id.name=/^[a-z]/]:matches([init.type="Literal"], [init.left.type="Literal"])',
        message: 'Name a constant of a module in upper case: MAX_BYTES.',
      },
    ],
    // Prettier breaks code; comments are broken by hand. A text or a formula that is longer stays whole.
    '@stylistic/max-len': [
      'error',
      { code: 120, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true, ignoreUrls: true },
    ],
  },
});
