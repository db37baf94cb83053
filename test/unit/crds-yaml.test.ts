import t from 'tap';
import { parseManifest } from '../../crds/parse.ts';
import { manifestError } from '../support/manifest-error.ts';

const MINIMAL =
  'apiVersion: fedbiot.io/v1alpha1\nkind: FedBiOTJob\nmetadata:\n  name: a\nspec:\n  model: { uri: m }\n  data: { train: { uri: t }, public: { uri: p } }\n';
const MEBI = 2 ** 20;

const each = (length: number, text: (index: number) => string) =>
  Array.from({ length }, (_, index) => text(index)).join('');
const nested = (levels: number, open: string, close: string) => `${open.repeat(levels)}1${close.repeat(levels)}`;

t.test('texts that would exhaust time or memory are refused with a clear message', async (t) => {
  const cases: readonly [what: string, text: string, message: RegExp][] = [
    ['an alias to itself', `${MINIMAL}  server: { affinity: &a [*a] }\n`, /line 8: \*a is inside the value of &a/],
    ['an alias to what holds it', `${MINIMAL}  server: { affinity: &a { b: { c: *a } } }\n`, /line 8: \*a is inside/],
    ['an alias to itself, merged', `${MINIMAL}  server: { affinity: &a { <<: *a } }\n`, /line 8: \*a is inside/],
    ['20,000 aliases', `${MINIMAL}  x: &a 1\n  z: [${'*a, '.repeat(20_000)}1]\n`, /line 8: spec\.x: unknown field/],
    [
      'aliases of aliases',
      `a0: &a0 [x, x, x, x, x, x, x, x, x]\n${each(30, (i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]\n`)}`,
      /with its aliases expanded, it holds more than/,
    ],
    [
      'aliases one in another',
      `a0: &a0 [x]\n${each(100, (i) => `a${i + 1}: &a${i + 1} [*a${i}]\n`)}`,
      /nested more than 64 levels/,
    ],
    [
      'a flow of 3,000 levels',
      `${MINIMAL}  server: { affinity: ${nested(3_000, '{ a: ', ' }')} }\n`,
      /line 8: is nested more than 64 levels/,
    ],
    ['a flow of 100,000 levels', nested(100_000, '[', ']'), /line 1: is nested more than 64 levels/],
    ['lists of 100,000 levels', nested(100_000, '- ', ''), /line 1: is nested more than 64 levels/],
    ['indented 1,000 levels', each(1_000, (i) => `${' '.repeat(i)}a:\n`), /line 6\d: is nested more than 64 levels/],
    ['two mebibytes', `a: "${'x'.repeat(2 * MEBI)}"`, /has 2097157 characters; a manifest may have at most 1048576/],
    ['100,000 documents', 'a: 1\n---\n'.repeat(100_000), /line 3: a second document begins here/],
    ['50,000 fields of one name', MINIMAL + '  seed: 1\n'.repeat(50_000), /seed is set twice/],
    ['60,000 fields', each(60_000, (i) => `k${i}: 1\n`), /holds more than 50000 values/],
    ['200,000 commas', `[${','.repeat(200_000)}]`, /Unexpected , in flow sequence/],
    ['200,000 brackets', ']'.repeat(200_000), /Unexpected flow-seq-end/],
    ['20,000 tags', each(20_000, (i) => `- !t${i} 1\n`), /Unresolved tag/],
  ];
  for (const [what, text, message] of cases) {
    const error = manifestError(text);
    t.match(error.message, message, what);
    t.ok(error.message.length < 10_000, `${what}: in ${error.message.length} characters`);
  }
});

t.test('what YAML 1.1 and 1.2 read differently is refused, with what to write', async (t) => {
  const cases: readonly [spec: string, message: RegExp][] = [
    [
      'seed: 0100',
      /line 8: 0100 is 64 to kubectl, which reads YAML 1\.1, and 100 here, in YAML 1\.2: write 64 or 100, or "0100" if text is meant/,
    ],
    ['suspend: yes', /yes is true to kubectl.*write true, or "yes"/],
    ['method: on', /on is true to kubectl/],
    ['seed: 1_000', /1_000 is 1000 to kubectl.*and text here/],
    ['seed: 0b11', /0b11 is 3 to kubectl/],
    ['seed: 9007199254740993', /more digits than a number can hold/],
    ['seed: 1e400', /1e400 is not a finite number/],
    ['server: { nodeSelector: { y: a } }', /the field name y is/],
    ['server: { nodeSelector: { ~: a } }', /the field name ~ is/],
    ['server: { nodeSelector: { 1: a } }', /the field name 1 is/],
    ['server: { nodeSelector: { [a]: b } }', /a field name must be text/],
    ['seed: !!int "3"', /the tag !!int is not supported/],
    ['server: { affinity: { a: 1, <<: { a: 2 } } }', /<< would override a, which is set before it/],
    ['server: { affinity: { <<: 1 } }', /<< must be an object/],
  ];
  for (const [spec, message] of cases) t.match(manifestError(`${MINIMAL}  ${spec}\n`).message, message, spec);
  t.match(manifestError(`%YAML 1.1\n---\n${MINIMAL}`).message, /line 1: directives/);
  for (const seed of ['100', '0x64', '0o144', '+100', '1e2', '100.0'])
    t.equal(parseManifest(`${MINIMAL}  seed: ${seed}\n`, 'job.yaml').spec.seed, 100, seed);
});

t.test('unusual bytes', async (t) => {
  t.equal(parseManifest(`\ufeff${MINIMAL}`, 'job.yaml').metadata.name, 'a', 'a byte order mark');
  t.equal(parseManifest(MINIMAL.replaceAll('\n', '\r\n'), 'job.yaml').metadata.name, 'a', 'lines of Windows');
  const wrong: readonly [text: string, code: string][] = [
    ['"\0"', '0000'],
    ['a\x07', '0007'],
    ['a\rb', '000D'],
    ['a\x85b', '0085'],
    ['"a\u2028b"', '2028'],
    ['a\ufffeb', 'FFFE'],
  ];
  for (const [text, code] of wrong)
    t.match(
      manifestError(`${MINIMAL}  x: ${text}\n`).message,
      new RegExp(`line 8: the character U\\+${code} is not allowed here`),
    );
});

t.test('fields named like properties of JavaScript’s objects', async (t) => {
  const names = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'prototype', 'valueOf'];
  for (const at of ['', '  server:\n  ', '  model:\n    uri: m\n  ']) {
    const text = at.includes('model') ? MINIMAL.replace('  model: { uri: m }\n', '') : MINIMAL;
    const { problems } = manifestError(
      text + at + names.map((name) => `  ${name}: { a: 1 }\n`).join(at === '' ? '' : '  '),
    );
    t.strictSame(
      problems.map(({ message }) => message),
      names.map(() => 'unknown field'),
      at,
    );
  }
  const labels = Object.fromEntries(names.map((name) => [name, 'a']));
  const { server } = parseManifest(
    `${MINIMAL}  server: { nodeSelector: { ${names.map((name) => `${name}: a`).join(', ')} }, affinity: { constructor: { __proto__: 1 } } }\n`,
    'job.yaml',
  ).spec;
  t.strictSame(Object.entries(server.nodeSelector ?? {}), Object.entries(labels), 'which a label may be');
});

t.test('of many problems the first are listed, and all are counted', async (t) => {
  const error = manifestError(`${MINIMAL}${each(1_500, (i) => `  field${i}: 1\n`)}  seed: -1\n`);
  t.equal(error.problems.length, 1_501);
  const lines = error.message.split('\n');
  t.match(lines, ['job.yaml is not a valid FedBiOTJob:', '  line 8: spec.field0: unknown field']);
  t.equal(lines.length, 22);
  t.equal(lines.at(-1), '  … and 1481 more');
});
