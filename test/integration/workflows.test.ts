// The GitHub workflows: actionlint accepts them, actions are pinned, and permissions are granted per job.
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { ensureActionlint } from '../cluster/ensure-actionlint.ts';

const ROOT = join(import.meta.dirname, '../..');
const FOLDER = join(ROOT, '.github/workflows');
const workflows = readdirSync(FOLDER).map((name) => ({ name, text: readFileSync(join(FOLDER, name), 'utf8') }));

const built = await ensureActionlint();
const lint = 'skip' in built ? { skip: built.skip } : { actionlint: join(built.folder, 'actionlint') };

t.test('actionlint accepts the workflows', { skip: lint.skip ?? false }, async (t) => {
  // Without shellcheck and pyflakes, so that every machine checks the same.
  const complaints = (...files: string[]) =>
    spawnSync(lint.actionlint ?? '', ['-no-color', '-shellcheck=', '-pyflakes=', ...files], {
      cwd: ROOT,
      encoding: 'utf8',
    }).stdout;
  t.equal(complaints(...workflows.map(({ name }) => join(FOLDER, name))), '');

  const text = workflows.find(({ name }) => name === 'ci.yml')?.text.replace('matrix.node', 'matrix.nodes');
  const broken = t.testdir({ 'broken.yml': text ?? '' });
  t.match(complaints(join(broken, 'broken.yml')), 'property "nodes" is not defined', 'a broken workflow is refused');
});

t.test('an action is pinned to a commit, with its version in a comment', async (t) => {
  for (const { name, text } of workflows) {
    const uses = [...text.matchAll(/uses: (.*)$/gm)].map(([, used = '']) => used);
    t.not(uses.length, 0, name);
    for (const used of uses) t.match(used, /^[\w-]+\/[\w-]+@[\da-f]{40} # v\d+\.\d+\.\d+$/, `${name}: ${used}`);
  }
});

t.test('a token reads at most the repository, unless a job says otherwise', async (t) => {
  for (const { name, text } of workflows) {
    const workflow: { permissions?: Record<string, string> } = parse(text);
    t.strictSame({ contents: 'read', ...workflow.permissions }, { contents: 'read' }, name);
    t.type(workflow.permissions, Object, `${name} states its permissions`);
  }
});
