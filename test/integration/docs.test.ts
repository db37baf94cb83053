// Links, commands, manifests, files, fields and messages in the documents are checked against the project.
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { Command } from 'commander';
import t from 'tap';
import { parseManifest } from '../../crds/parse.ts';
import { Job } from '../../crds/schema/job.ts';
import { fieldOf } from '../../crds/json-schema/node.ts';
import type { SchemaNode } from '../../crds/json-schema/node.ts';
import { Status } from '../../crds/schema/status.ts';
import { readConfig } from '../../operator/config/config.ts';
import { register as registerEval } from '../../worker/commands/eval.ts';
import { register as registerExport } from '../../worker/commands/export.ts';
import { register as registerPlan } from '../../worker/commands/plan.ts';
import { register as registerReport } from '../../worker/commands/report.ts';
import { registerClient, registerServer } from '../../worker/commands/role.ts';
import { register as registerRun } from '../../worker/commands/run.ts';
import { register as registerValidate } from '../../worker/commands/validate.ts';
import {
  anchorsOf,
  chartValueExists,
  codeIn,
  documents,
  fedbiotCommands,
  linksIn,
  ROOT,
} from '../support/documents.ts';

const all = documents();
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const shellBlocks = all.flatMap(({ path, blocks }) =>
  blocks.filter(({ language }) => language === 'sh').map(({ text }) => ({ path, text })),
);
const spans = all.flatMap(({ path, prose }) => prose.flatMap(codeIn).map((code) => ({ path, code })));
const manifests = globSync('examples/**/*.yaml', { cwd: ROOT }).filter((path) =>
  read(path).includes('kind: FedBiOTJob'),
);

/** The command line, with commands that do nothing. */
function commandLine(): Command {
  const program = new Command('fedbiot')
    .exitOverride()
    .configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
  const commands = [
    registerRun,
    registerValidate,
    registerPlan,
    registerEval,
    registerExport,
    registerReport,
    registerServer,
    registerClient,
  ];
  for (const register of commands) register(program);
  for (const command of program.commands) command.action(() => undefined);
  return program;
}

const commandNamed = (name: string | undefined) => commandLine().commands.find((command) => command.name() === name);
const optionsOf = (command: Command) => ['--help', ...command.options.map(({ long }) => long)];

function operatorOptions(): string[] {
  const asked = readConfig(['--help'], {}, '0');
  return 'text' in asked ? [...asked.text.matchAll(/^ +(?:-\w, )?(--[a-z-]+)/gm)].map(([, option = '']) => option) : [];
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  return text;
}

t.test('links have targets', async (t) => {
  let checked = 0;
  for (const document of all) {
    for (const target of document.prose.flatMap(linksIn).filter((target) => !/^[a-z]+:/.test(target))) {
      const [file = '', anchor] = target.split('#');
      const path = file === '' ? document.path : normalize(join(dirname(document.path), file));
      if (!existsSync(join(ROOT, path))) t.fail(`${document.path}: ${target} is not there`);
      const headings = all.find((other) => other.path === path);
      if (anchor !== undefined && headings && !anchorsOf(headings).includes(anchor))
        t.fail(`${document.path}: ${path} has no heading #${anchor}`);
      checked++;
    }
  }
  t.ok(checked > 100, `${checked} links`);
});

t.test('code spans do not cross lines', async (t) => {
  const broken = all.flatMap(({ path, prose }) =>
    prose.filter((line) => line.split('`').length % 2 === 0).map((line) => `${path}: ${line}`),
  );
  t.strictSame(broken, []);
});

t.test('the command line accepts the commands in the documents', async (t) => {
  const examples = [
    ...shellBlocks,
    ...manifests.map((path) => ({ path, text: read(path).replaceAll(/^# +/gm, '') })),
    ...commandLine().commands.map((command) => ({
      path: `fedbiot ${command.name()} --help`,
      text: helpOf(command).replaceAll(/^Usage:.*$/gm, ''),
    })),
  ];
  const commands = examples.flatMap(({ path, text }) => fedbiotCommands(text).map((args) => ({ path, args })));
  for (const { path, args } of commands)
    t.doesNotThrow(() => commandLine().parse(args, { from: 'user' }), `${path}: fedbiot ${args.join(' ')}`);
  t.ok(commands.length > 20, `${commands.length} commands`);
});

t.test('named commands and options exist', async (t) => {
  const known = new Set([...commandLine().commands.flatMap(optionsOf), ...operatorOptions()]);
  for (const { path, code } of spans) {
    const [name, ...args] = /^(?:npx )?fedbiot (.+)$/.exec(code)?.[1]?.split(/\s+/) ?? [];
    if (name !== undefined) {
      const command = commandNamed(name);
      const unknown = command && args.filter((arg) => arg.startsWith('--') && !optionsOf(command).includes(arg));
      t.same(unknown, [], `${path}: ${code}`);
    }
    const option = /^(--[a-z-]+)(?: \S+)?$/.exec(code)?.[1];
    // The programs of bench/ and Helm have their own options.
    if (option !== undefined && !/^(bench|charts)\//.test(path)) t.ok(known.has(option), `${path}: ${code}`);
  }
});

t.test('named npm scripts and files exist', async (t) => {
  const { scripts } = JSON.parse(read('package.json'));
  const texts = [...shellBlocks.map(({ path, text }) => ({ path, code: text })), ...spans];
  for (const { path, code } of texts) {
    for (const [, script = ''] of code.matchAll(/npm (?:run )?(?!ci\b|install\b|pack\b|publish\b)([a-z\d:]+)/g))
      t.ok(script in scripts, `${path}: npm run ${script}`);
    for (const [file] of code.matchAll(
      /(?<![\w./-])(?:crds|worker|operator|charts|test|bench|examples|docs)\/[\w./-]+\.(?:ts|py|sh|yaml|md)\b/g,
    )) {
      t.ok(existsSync(join(ROOT, file)), `${path}: ${file}`);
    }
  }
});

t.test('manifests are valid', async (t) => {
  const shown = all.flatMap(({ path, blocks }) =>
    blocks.filter(({ language }) => language === 'yaml').map(({ text }) => ({ path, text })),
  );
  const jobs = [...shown, ...manifests.map((path) => ({ path, text: read(path) }))].filter(({ text }) =>
    text.includes('kind: FedBiOTJob'),
  );
  for (const { path, text } of jobs) t.doesNotThrow(() => parseManifest(text, path), path);
  t.ok(jobs.length >= 5, `${jobs.length} manifests`);
});

t.test('named fields of manifest and status, and named values of the chart, exist', async (t) => {
  const { properties }: SchemaNode = Job;
  const job: SchemaNode = { properties: { ...properties, status: Status } };
  const spec = properties?.['spec'] ?? {};
  const fieldsIn = (from: SchemaNode, names: readonly string[]) =>
    names.reduce<SchemaNode | undefined>((at, name) => at && fieldOf(at.items ?? at, name), from) !== undefined;
  let checked = 0;
  for (const { path, code } of spans) {
    const [name] = /^[a-z]\w*(?:\.\w+)+$/.exec(code) ?? [];
    if (name === undefined || /\.(?:html|jsonl?|md|ts|yaml)$/.test(name)) continue;
    const names = name.split('.');
    const [first = ''] = names;
    if (!fieldsIn(job, [first]) && !fieldsIn(spec, [first]) && !chartValueExists(first)) continue;
    checked++;
    t.ok(fieldsIn(job, names) || fieldsIn(spec, names) || chartValueExists(name), `${path}: ${code}`);
  }
  t.ok(checked > 100, `${checked} names`);
});

t.test('messages in troubleshooting.md are in the sources', async (t) => {
  const sources = globSync(['{crds,worker,operator}/**/*.ts', 'charts/fedbiot/templates/*.{tpl,yaml}'], { cwd: ROOT })
    .map(read)
    .join('\n');
  const symptoms = read('docs/troubleshooting.md')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .flatMap((line) => codeIn(line.split(' | ')[0] ?? ''));
  // Fields are compared with the schema above.
  const messages = symptoms
    .flatMap((symptom) => symptom.split('…'))
    .map((part) => part.trim())
    .filter((part) => part !== '' && !part.startsWith('status.'));
  for (const message of messages) t.ok(sources.includes(message), message);
  t.ok(messages.length > 75, `${messages.length} messages`);
});

t.test('every reason of the operator is explained', async (t) => {
  const text = read('docs/troubleshooting.md');
  const reasons = globSync('operator/{status,reconcile}/*.ts', { cwd: ROOT }).flatMap((path) =>
    [...read(path).matchAll(/reason: '(\w+)'/g)].map(([, reason = '']) => reason),
  );
  for (const reason of new Set(reasons)) t.ok(text.includes(`\`${reason}\``), reason);
  t.ok(reasons.length > 15, `${reasons.length} reasons`);
});

t.test('the figures in sizing.md are what the commands print', async (t) => {
  const text = read('docs/operations/sizing.md');
  const printed = (program: string, ...args: readonly string[]) =>
    execFileSync(process.execPath, [join(ROOT, program), ...args], { cwd: ROOT, encoding: 'utf8' });
  for (const line of printed('worker/launch.js', 'plan', 'examples/quickstart.yaml', '--no-time')
    .trimEnd()
    .split('\n')) {
    if (!/machine/.test(line)) t.ok(text.includes(`\n${line}\n`), line);
  }
  const rows = new Map(
    text
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .map((line) => [line.split(' | ')[0]?.slice(2), line]),
  );
  const rowOf = new Map([
    ['full model', 'full model, as stored'],
    ['emulator, once per client', 'emulator'],
    ['per round, down', 'per round, down / up'],
    ['per round, up', 'per round, down / up'],
  ]);
  const shapes = printed('bench/plan-shape.ts').split('## ').slice(1);
  for (const [column, shape] of shapes.slice(0, 3).entries()) {
    const sizes = shape
      .split(/^(?=GPU memory)/m)
      .flatMap((part) =>
        [...part.matchAll(/^ {2}(\S.*?) {2,}([\d.]+) [KMG]iB$/gm)]
          .filter(([, name = '']) => !/machine|in total/.test(name))
          .map(([, name = '', size = '']) => [part.startsWith('GPU') ? `${name} on a GPU` : name, size] as const),
      );
    for (const [name, size] of sizes) {
      const row = rows.get(rowOf.get(name) ?? name);
      t.ok(
        row
          ?.split(' | ')
          [column + 1]?.split(/[ /|]+/)
          .includes(size),
        `${shape.split('\n')[0]}: ${name} ${size}`,
      );
    }
    t.equal(sizes.length, 12, `${shape.split('\n')[0]}: sizes`);
  }
  const short = text.slice(text.indexOf('\n| change |')).trim().split('\n\n')[0]!.split('\n').slice(2);
  const ofLlama = shapes.filter((shape) => shape.startsWith('LLaMA-2-7B'));
  t.equal(short.length, ofLlama.length, 'a row for each setting');
  for (const [i, shape] of ofLlama.entries()) {
    const memory = shape.slice(shape.indexOf('peak memory'));
    const size = (part: string, name: string) => Number(part.split(name)[1]?.split(' GiB')[0]);
    const pages = size(memory, 'in pages of files');
    const present = size(memory, 'fedbiot run, in total') - pages;
    const [row = ''] = short.slice(i);
    const figures = row.split(' | ').slice(1).map(parseFloat);
    t.match(figures.slice(1), [pages, size(shape, 'emulator, once per client')], row);
    t.ok(Math.abs(figures[0]! - present) < 0.1, `${row}: ${present.toFixed(2)}`);
  }
});
