import tseslint from 'typescript-eslint';

/** tap awaits its own subtests. */
const SUBTEST = { from: 'package', package: '@tapjs/core', name: 'PromiseWithSubtest' };

/**
 * What the compiler does not see: a promise that rejects and that nobody awaits ends the process, `void` before it or
 * not.
 */
export default tseslint.config({
  files: ['**/*.ts'],
  languageOptions: {
    parser: tseslint.parser,
    parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
  },
  plugins: { '@typescript-eslint': tseslint.plugin },
  linterOptions: { reportUnusedDisableDirectives: 'error' },
  rules: {
    '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: false, allowForKnownSafePromises: [SUBTEST] }],
    '@typescript-eslint/no-misused-promises': 'error',
    '@typescript-eslint/await-thenable': 'error',
    '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
    '@typescript-eslint/only-throw-error': 'error',
    '@typescript-eslint/no-explicit-any': 'error',
    '@typescript-eslint/no-for-in-array': 'error',
  },
});
