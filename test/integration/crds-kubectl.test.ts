// One manifest, two parsers: kubectl's YAML 1.1 and fedbiot's.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { kubectlReads } from '../../crds/yaml-scalar.ts';
import { readYaml } from '../../crds/yaml-document.ts';
import { ensureKubernetes } from '../cluster/ensure.ts';
import { run } from '../cluster/run.ts';
import { noApiServer } from '../support/control-plane.ts';

const SEED = Number(process.env['FEDBIOT_TEST_SEED'] ?? 14);

const WORDS =
  `y Y yes Yes YES yEs n N no No NO nO on On ON oN off Off OFF true True TRUE tRue false False FALSE ~ null Null NULL nULL nil none = 2026-01-01
2026-01-01T00:00:00Z 1:30 1:30:45 190:20:30 -1:30 +1:30.5 12e03 1e3 1e+3 1E3 1.e3 .5e3 -.5 +.5 . .. + -a +a 1. 1.5. 1_0 _1 1__0 1_ 0x_1 0x 0b 0o 0o8 0o17
-0o17 +0o17 0b101 -0b101 +0b101 0B1 0X1f 0O7 0x1F -0x1F +0x1f 00 000 0 -0 +0 08 09 019 0100 -0100 +0100 0o100 010 1_000 1e400 -1e400 9223372036854775807
9223372036854775808 18446744073709551615 18446744073709551616 9007199254740991 9007199254740992 9007199254740993 123456789012345678901234567890 0.1 1.0 1.10
0.10 1_000.5 1,000 1.5e 1e e1 0x1p3 0x1.8p1 Infinity inf Inf nan NaN +inf -inf +Inf 0. 0.0 -0.0 1e-3 0e0 00.5 01.5 1e03 --1 1- 0777777777777777777777
0xffffffffffffffff 0x10000000000000000 0b0 true1 1d 1f 5.e-1 _ __ 0_ 0_1 0_8 -_1 +1_0 1e1_0 1_e3 .1_0 ._1 .5_ .e3 +.e -. 2Gi 500m 1e21 5e-324 v1 a.b/c`.split(
    /\s+/,
  );

/** Every text of up to three of the characters that numbers consist of. */
const short = (length: number): string[] =>
  length === 0
    ? ['']
    : short(length - 1).flatMap((text) => [text, ...[...'019_x.eo+-b'].map((each) => `${text}${each}`)]);
const isPlain = (text: string) => text !== '' && !/^(-|---|\.\.\.)$/.test(text);

interface Reader {
  /** kubectl's values of list items, or its error. */
  read(items: readonly string[]): Promise<readonly unknown[] | string>;
  document(spec: string): Promise<unknown>;
}

async function kubectlIn(folder: string): Promise<Reader> {
  const found = await ensureKubernetes();
  if ('skip' in found) throw new Error(found.skip);
  const kubectl = join(found.folder, 'kubectl');
  const document = async (spec: string): Promise<unknown> => {
    const file = join(folder, 'list.yaml');
    writeFileSync(file, `apiVersion: example.io/v1\nkind: Any\nmetadata: { name: any }\nspec:\n${spec}`);
    // Parses and prints without an API server.
    const printed = await run(kubectl, [
      'label',
      '--local',
      '--filename',
      file,
      '--output',
      'json',
      'read=by-kubectl',
    ]).catch((error: unknown) => String(error));
    // Integers as text, because JSON.parse would round them.
    return printed.startsWith('{')
      ? JSON.parse(printed.replaceAll(/(?<=[\s[])(-?\d{16,})(?=,?\n)/g, '"!$1"')).spec
      : printed;
  };
  const read = async (items: readonly string[]) => {
    const spec = await document(items.map((item) => `  - ${item}\n`).join(''));
    return Array.isArray(spec)
      ? spec.map((each: unknown) => (typeof each === 'string' && each.startsWith('!') ? BigInt(each.slice(1)) : each))
      : String(spec);
  };
  return { read, document };
}

const isNumber = (value: unknown) => typeof value === 'number' || typeof value === 'bigint';

/** Equal texts, booleans or numbers. An integer with many digits counts only if a double represents it exactly. */
const same = (a: unknown, b: unknown) =>
  a === b || (isNumber(a) && isNumber(b) && typeof a !== typeof b && Number(a) === Number(b)) || (a === 0 && b === 0);

t.test('kubectl and fedbiot', { skip: noApiServer }, async (t) => {
  const kubectl = await kubectlIn(t.testdir());
  const held = async (
    t: { ok(value: unknown, message: string): void; fail(message: string): void },
    texts: readonly string[],
  ) => {
    const there = await kubectl.read(texts);
    if (typeof there === 'string') return t.fail(there);
    let accepted = 0;
    texts.forEach((text, index) => {
      const foreseen = kubectlReads(text);
      if (!same(there[index], foreseen))
        t.fail(`${text} is ${String(there[index])} to kubectl, not ${String(foreseen)}`);
      const here = readYaml(`- ${text}\n`);
      if ('problems' in here) return;
      accepted++;
      const value: unknown = Array.isArray(here.value) ? here.value[0] : undefined;
      if (!same(there[index], value)) t.fail(`${text} is ${String(there[index])} to kubectl and ${String(value)} here`);
    });
    t.ok(accepted > texts.length / 10 && accepted < texts.length, `${accepted} of ${texts.length} are accepted`);
  };

  await t.test('a manifest is accepted exactly if both read it alike', async (t) => {
    await held(t, WORDS);
    await held(t, [...new Set(short(3))].filter(isPlain));
    const drawn = fc.sample(
      fc.string({ unit: fc.constantFrom(...'00112789abdefnoxyEINXB._+-'), minLength: 4, maxLength: 24 }),
      { seed: SEED, numRuns: 3000 },
    );
    await held(
      t,
      drawn.filter((text) => isPlain(text) && !/^[-+]?\.(inf|nan)$/i.test(text) && !/^[-?] |^-$/.test(text)),
    );
  });

  await t.test('values that neither can represent are refused by both', async (t) => {
    for (const text of ['.inf', '-.Inf', '.nan', '!!float x', '!!int "x"']) {
      t.type(await kubectl.read([text]), 'string', text);
      t.ok('problems' in readYaml(`- ${text}\n`), text);
    }
  });

  await t.test('documents', async (t) => {
    const cases: readonly [what: string, spec: string, isAccepted: boolean][] = [
      ['merge, then a field', '  b: &b { p: 1, q: 2 }\n  x: { <<: *b, p: 9 }\n', true],
      ['a field, then merge of the same', '  b: &b { p: 1, q: 2 }\n  x: { p: 9, <<: *b }\n', false],
      ['a field, then merge of another', '  b: &b { q: 2 }\n  x: { p: 9, <<: *b }\n', true],
      ['a list of merges', '  b: &b { p: 1 }\n  c: &c { p: 2, q: 3 }\n  x: { <<: [*b, *c] }\n', true],
      ['two merges of the same', '  b: &b { p: 1 }\n  c: &c { p: 2 }\n  x: { <<: *b, <<: *c }\n', false],
      ['<< in quotes', '  b: &b { p: 1 }\n  x: { "<<": *b }\n', true],
      ['an anchor named anew', '  a: &a 1\n  b: &a 2\n  c: *a\n', true],
      ['an empty anchor', '  a: &a\n  b: *a\n', true],
      ['a field twice', '  x: { p: 1, p: 2 }\n', false],
      ['tags', '  x: [!!str 0100]\n', false],
      ['JSON', '  x: {"a":1,"b":[true,null,-0.5e-3]}\n', true],
      ['names in flow', '  x: { a:1, b: c:d }\n', true],
      ['a name that is a word', '  x: { on: 1 }\n', false],
      ['a name that is a number', '  x: { 0x10: 1 }\n', false],
      [
        'text over lines',
        '  x: 01\n    00\n  y1: >-\n    a\n    b\n  z: |\n    a\n     b\n  w: "a\\\n    b \\u2028 \\x41"\n',
        true,
      ],
      ['windows', '  x: 1\r\n  z: |\r\n    a\r\n    b\r\n', true],
      ['a line break of YAML 1.1', '  x: a\u0085 b\n', false],
      ['comments', '  x: a#b # c\n  y1: "#"\n', true],
      ['tabs', '  x:\t1\t# a\n', true],
    ];
    for (const [what, spec, isAccepted] of cases) {
      const here = readYaml(`spec:\n${spec}`);
      t.equal('value' in here, isAccepted, what, { here });
      if ('value' in here) t.strictSame(here.value, { spec: await kubectl.document(spec) }, what);
    }
  });
});
