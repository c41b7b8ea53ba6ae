import { defineConfig } from 'eslint/config'
import tseslint from 'typescript-eslint'

/** Which other rooms each room may know (docs/design.md). The linter enforces it, not memory. */
const mayUse = {
  facts: [],
  recording: [],
  expectations: ['facts', 'recording'],
  evidence: ['facts', 'recording', 'expectations'],
  invariant: ['facts', 'recording', 'expectations', 'evidence'],
  verdict: ['facts', 'recording', 'expectations', 'evidence', 'invariant', 'report', 'targets'],
  report: ['invariant'],
  collect: ['facts', 'recording', 'expectations', 'evidence'],
  targets: ['facts', 'recording', 'expectations', 'evidence', 'collect'],
}
const rooms = [...Object.keys(mayUse), 'bench', 'cli', 'diff', 'docs', 'refute', 'synthetic']
const outside = [
  'ssh2',
  '@kubernetes/client-node',
  'zx',
  'testcontainers',
  'node:fs',
  'node:process',
  'node:child_process',
  'node:net',
]

export default defineConfig(
  { ignores: ['node_modules', 'reports', 'recordings', 'coverage'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ['eslint.config.js'] } } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unnecessary-condition': 'error',
    },
  },
  {
    // Refutations edit the API's objects as the plain JSON that they are.
    files: ['specs/**/*.ts', 'helpers/invariant/edit.ts', 'helpers/synthetic/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-dynamic-delete': 'off',
      '@typescript-eslint/restrict-template-expressions': 'off',
    },
  },
  ...Object.entries(mayUse).map(([room, known]) => ({
    files: [`helpers/${room}/**`],
    ignores: ['**/*.test.ts', '**/*.setup.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: rooms.filter(other => other !== room && !known.includes(other)).map(other => `../**/${other}/*`),
              message: `This room knows nothing of that one (docs/design.md).`,
            },
          ],
        },
      ],
    },
  })),
  {
    files: ['specs/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: outside.map(name => ({
            name,
            message: 'A spec judges evidence; it never touches the network, the disk or the process.',
          })),
          patterns: [{ group: ['../**/report/*', '../**/verdict/*', '../**/targets/*', '../**/cli/*'] }],
        },
      ],
      'no-restricted-globals': ['error', 'process'],
    },
  },
)
