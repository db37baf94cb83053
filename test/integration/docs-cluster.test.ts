// Cluster commands in the documents: the real programs accept them, and the objects, files and values in them exist.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse, parseAllDocuments } from 'yaml';
import { isRecord } from '../../crds/json-schema/node.ts';
import { namesOf } from '../../operator/objects/owned-objects.ts';
import { ensureKubernetes } from '../cluster/ensure.ts';
import { run } from '../cluster/run.ts';
import { chartValueExists, codeIn, documents, ROOT } from '../support/documents.ts';
import { Helm, noHelm } from '../support/helm.ts';
import { longOptions, optionValues, shellCommands } from '../support/shell.ts';

const kubernetes = await ensureKubernetes();
const noKubectl = 'skip' in kubernetes ? `SKIPPED: ${kubernetes.skip}` : false;
const helm = new Helm(t);

interface Shown {
  readonly path: string;
  readonly words: readonly string[];
}

const shown: readonly Shown[] = documents().flatMap(({ path, blocks, prose }) => {
  const shell = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text);
  const spans = prose.flatMap(codeIn).filter((code) => /^(?:helm|kubectl|docker|kind) [a-z]/.test(code));
  return [...shell, ...spans].flatMap(shellCommands).map((words) => ({ path, words }));
});
const commandsOf = (program: string) =>
  shown.flatMap(({ path, words: [name, ...words] }) => (name === program ? [{ path, words }] : []));
const told = ({ path, words }: Shown) => `${path}: ${words.join(' ')}`;
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** Files that the reader creates. */
const OWN_FILES = new Set(['job.yaml', 'fedbiot.yaml', 'values.yaml', '-']);

t.test('applied, installed and packed files exist', async (t) => {
  const files = [...commandsOf('kubectl'), ...commandsOf('helm')].flatMap((command) =>
    optionValues(command.words, '-f', '--filename', '--values')
      .filter((file) => !OWN_FILES.has(file))
      .map((file) => ({ command, file })),
  );
  for (const { command, file } of files) t.ok(existsSync(join(ROOT, file)), told(command));
  const charts = commandsOf('helm').flatMap((command) =>
    command.words.filter((word) => word.startsWith('charts/')).map((chart) => ({ command, chart })),
  );
  for (const { command, chart } of charts) t.ok(existsSync(join(ROOT, chart, 'Chart.yaml')), told(command));
  t.ok(files.length > 4 && charts.length > 3, `${files.length} files, ${charts.length} charts`);
});

t.test('values that are set exist', async (t) => {
  const sets = commandsOf('helm').flatMap((command) =>
    optionValues(command.words, '--set', '--set-string').map((set) => ({ command, set })),
  );
  for (const { command, set } of sets) {
    for (const one of set.replaceAll(/\{[^}]*\}/g, 'list').split(','))
      t.ok(chartValueExists(one.split('=')[0] ?? ''), `${told(command)}: ${one}`);
  }
  t.ok(sets.length > 5, `${sets.length} values`);
});

t.test('Helm accepts the commands in the documents', { skip: noHelm, timeout: 120_000 }, async (t) => {
  // Charts of other projects cannot be downloaded here.
  for (const command of commandsOf('helm').filter(({ words }) => words[0] !== 'repo')) {
    const help = await helm.run([command.words[0] ?? '', '--help']).catch(String);
    for (const option of longOptions(command.words)) t.ok(help.includes(`${option} `), `${told(command)}: ${option}`);
    const sets = optionValues(command.words, '--set').filter((set) => /^[\w.]+=/.test(set));
    if (!command.words.includes('charts/fedbiot') || sets.length === 0) continue;
    await t.resolves(
      helm.run(['template', 'fedbiot', join(ROOT, 'charts/fedbiot'), ...sets.map((set) => `--set=${set}`)]),
      told(command),
    );
  }
});

t.test('kubectl accepts the commands in the documents', { skip: noKubectl, timeout: 300_000 }, async (t) => {
  if ('skip' in kubernetes) return;
  const kubectl = (args: readonly string[]) => run(join(kubernetes.folder, 'kubectl'), [...args]).catch(String);
  const everywhere = await kubectl(['options']);
  const helps = new Map<string, Promise<string>>();
  const helpOf = (words: readonly string[]) => {
    const key = words.join(' ');
    const help = helps.get(key) ?? kubectl([...words, '--help']);
    helps.set(key, help);
    return help;
  };
  const commands = commandsOf('kubectl');
  for (const command of commands) {
    // The longest known command of up to three words; other words are arguments.
    const bare = command.words
      .slice(
        0,
        Math.max(
          1,
          command.words.findIndex((word) => word.startsWith('-')),
        ) || undefined,
      )
      .slice(0, 3);
    const help = await helpOf(bare);
    if (!/^Usage:$/m.test(help)) t.fail(`${told(command)}: no such command`);
    const known = `${help}\n${everywhere}`;
    for (const option of longOptions(command.words)) t.ok(known.includes(`${option}=`), `${told(command)}: ${option}`);
  }
  t.ok(commands.length > 20, `${commands.length} commands`);
});

/** Kinds by their names in commands. */
const KINDS: Readonly<Record<string, string>> = {
  deployment: 'Deployment',
  statefulset: 'StatefulSet',
  service: 'Service',
  crd: 'CustomResourceDefinition',
  secret: 'Secret',
  clusterrole: 'ClusterRole',
  lease: 'Lease',
};

t.test('objects that are named by kind exist', { skip: noHelm }, async (t) => {
  const rendered = (await helm.template({ metrics: { authentication: true } })).map(
    ({ kind, metadata }) => `${kind}/${metadata.name}`,
  );
  const made = globSync('examples/**/*.yaml', { cwd: ROOT }).flatMap((path) =>
    parseAllDocuments(read(path)).map((document): unknown => document.toJS()),
  );
  const names = made.flatMap((object) =>
    isRecord(object) && isRecord(object['metadata'])
      ? [`${String(object['kind'])}/${String(object['metadata']['name'])}`]
      : [],
  );
  const objects = new Set([
    ...rendered,
    ...names,
    'Lease/fedbiot-operator',
    ...Object.values(namesOf('quickstart')).flatMap((name) => [`Job/${name}`, `Secret/${name}`]),
  ]);
  const created = shown.flatMap(({ words }) => (words[0] === 'kubectl' && words[1] === 'create' ? words.slice(2) : []));
  let checked = 0;
  for (const command of commandsOf('kubectl').filter(
    ({ words }) => words[0] !== 'create' || words[1] === 'rolebinding',
  )) {
    const pairs = command.words.flatMap((word, index) => {
      const [, kind = '', name = ''] = /^(?:--)?([a-z]+)[/=]([a-z][\w.-]*)$/.exec(word) ?? [];
      const [before = '', after = ''] = [word, command.words[index + 1] ?? ''];
      return kind in KINDS ? [[kind, name]] : before in KINDS && /^[a-z][\w.-]*$/.test(after) ? [[before, after]] : [];
    });
    for (const [kind = '', name = ''] of pairs) {
      checked++;
      t.ok(objects.has(`${KINDS[kind]}/${name}`) || created.includes(name), `${told(command)}: ${kind} ${name}`);
    }
  }
  t.ok(checked > 5, `${checked} objects`);
});

t.test('the Dockerfile has the targets that images are built from', async (t) => {
  const targets = new Set([...read('Dockerfile').matchAll(/^FROM .* AS (\S+)$/gm)].map(([, name = '']) => name));
  const built = commandsOf('docker').flatMap((command) =>
    optionValues(command.words, '--target').map((target) => ({ command, target })),
  );
  for (const { command, target } of built) t.ok(target.startsWith('$') || targets.has(target), told(command));
  t.ok(built.length > 3, `${built.length} images`);
});

t.test('the documents name the version that the chart installs', async (t) => {
  const { appVersion } = parse(read('charts/fedbiot/Chart.yaml'));
  const tags = shown.flatMap((command) =>
    command.words.flatMap((word) =>
      [...word.matchAll(/fedbiot[/-](?:operator|worker|worker-cuda):([\w.]+)/g)].map(([, tag]) => ({ command, tag })),
    ),
  );
  for (const { command, tag } of tags) t.equal(tag, appVersion, told(command));
  t.ok(tags.length > 5, `${tags.length} images`);
});
