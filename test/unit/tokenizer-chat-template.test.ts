import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { loadChatTemplate } from '../../worker/tokenizer/chat-template.ts';
import type { Conversation } from '../../worker/tokenizer/chat-template.ts';
import { strftime } from '../../worker/tokenizer/strftime.ts';

interface Oracle {
  readonly date: string;
  readonly templates: Readonly<Record<string, string>>;
  readonly conversations: Readonly<Record<string, Conversation>>;
  readonly texts: readonly {
    template: string;
    conversation: string;
    addGenerationPrompt: boolean;
    text: string | null;
  }[];
  readonly strftime: readonly { date: string; format: string; text: string }[];
}

const oracle: Oracle = JSON.parse(readFileSync(new URL('../fixtures/chat-templates.json', import.meta.url), 'utf8'));

const load = async (t: Test, source: string) => {
  const template = await loadChatTemplate(t.testdir({ 'chat_template.jinja': source }), {}, { bos_token: '<s>' });
  if (template === null) throw new Error('no template');
  return template;
};

t.test(
  'conversations are written as transformers writes them, with tools, documents, thoughts and the day',
  async (t) => {
    for (const { template, conversation, addGenerationPrompt, text } of oracle.texts) {
      const { render, readsDate } = await load(t, oracle.templates[template] ?? '');
      t.equal(readsDate, template === 'dated');
      const rendered = () =>
        render(oracle.conversations[conversation] ?? { messages: [] }, { addGenerationPrompt, date: oracle.date });
      const what = `${conversation} in ${template}${addGenerationPrompt ? ', opened' : ''}`;
      if (text === null) t.throws(rendered, { constructor: UserError, message: /refuses the messages/ }, what);
      else t.equal(rendered(), text, what);
    }
  },
);

t.test('days are written as Python writes them in the C locale', async (t) => {
  for (const { date, format, text } of oracle.strftime) t.equal(strftime(date, format), text, `${date} ${format}`);
  t.throws(() => strftime('2026-03-07', '%Q'), /does not support %Q/);
  t.throws(() => strftime('2026-03-07', '50 %'), /does not support %/);
  t.throws(() => strftime('2026-02-30', '%d'), /not a valid date/);
});

t.test('a text does not depend on the machine’s clock, time zone or language', async (t) => {
  const program = `
    const { loadChatTemplate } = await import(${JSON.stringify(fileURLToPath(new URL('../../worker/tokenizer/chat-template.ts', import.meta.url)))});
    const source = "{{ strftime_now('%A %d %B %Y %H:%M %c') }} {{ 'I' | lower }} {{ ['b', 'a', 'ä', 'A'] | sort }}";
    const template = await loadChatTemplate('/nowhere', { chat_template: source }, {});
    process.stdout.write(template.render({ messages: [] }, { addGenerationPrompt: false, date: '2026-03-07' }));`;
  const texts = [
    { TZ: 'Pacific/Kiritimati', LC_ALL: 'de_DE.UTF-8' },
    { TZ: 'Pacific/Pago_Pago', LC_ALL: 'tr_TR.UTF-8' },
    { TZ: 'UTC', LC_ALL: 'sv_SE.UTF-8' },
  ].map((environment) => {
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      env: { ...process.env, ...environment },
    });
    t.equal(stderr, '');
    return stdout;
  });
  t.match(texts[0], /^Saturday 07 March 2026 00:00 Sat Mar {2}7 00:00:00 2026 i /);
  t.same(new Set(texts).size, 1);
});

t.test(
  'a template gets no date where none is given, and sorts keys independently of the machine’s locale',
  async (t) => {
    const dated = await load(t, oracle.templates['dated'] ?? '');
    const conversation = { messages: [{ role: 'user', content: 'x' }] };
    t.throws(() => dated.render(conversation, { addGenerationPrompt: true, date: null }), {
      constructor: UserError,
      message: /the job does not set data\.date/,
    });
    const sorting = await load(t, '{{ messages[0] | tojson(sort_keys=true) }}');
    t.throws(() => sorting.render(conversation, { addGenerationPrompt: true, date: null }), {
      constructor: UserError,
      message: /sort_keys is not supported/,
    });
  },
);

t.test('range is Python’s', async (t) => {
  const template = await load(
    t,
    '{% for i in range(3) %}{{ i }}{% endfor %}|{% for i in range(5, 1, -2) %}{{ i }}{% endfor %}|{% for i in range(2, 2) %}{{ i }}{% endfor %}',
  );
  t.equal(template.render({ messages: [] }, { addGenerationPrompt: false, date: null }), '012|53|');
});

t.test('an endless template, or one whose text would exhaust memory, is refused', async (t) => {
  const nested = (depth: number) => '{% for i in range(100000) %}'.repeat(depth) + '{% endfor %}'.repeat(depth);
  const doubled =
    "{% set ns = namespace(x='0123456789') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}";
  for (const [source, says] of [
    [nested(3), /takes more than \d+ steps/],
    [doubled, /produces a text of more than \d+ characters/],
    [
      doubled.replace("'0123456789'", '[1]').replace('ns.x ~ ns.x', 'ns.x + ns.x'),
      /produces a list of more than \d+ elements/,
    ],
    ['{{ range(1000000000) | length }}', /range\(\) of 1000000000 numbers/],
    ['{{ messages | tojson(indent=1000000000) }}', /refuses the messages/],
  ] as const) {
    const { render } = await load(t, source);
    const before = process.cpuUsage();
    t.throws(
      () => render({ messages: [{ role: 'user', content: 'x' }] }, { addGenerationPrompt: false, date: null }),
      { constructor: UserError, message: says },
      source.slice(0, 60),
    );
    const { user, system } = process.cpuUsage(before);
    t.ok(user + system < 20e6, `${(user + system) / 1e6} s of CPU time`);
  }
});

t.test('a chat_template.jinja that cannot be read is not passed over for another', async (t) => {
  const dir = t.testdir({
    'chat_template.jinja': 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n',
  });
  await t.rejects(loadChatTemplate(dir, { chat_template: 'x' }, {}), {
    constructor: UserError,
    message: /is a Git LFS pointer.*, not a chat template/,
  });
  const link = t.testdir({ 'chat_template.jinja': t.fixture('symlink', 'nowhere') });
  await t.rejects(loadChatTemplate(link, { chat_template: 'x' }, {}), {
    constructor: UserError,
    message: /is a link to nowhere, which does not exist/,
  });
});
