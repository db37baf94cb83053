// The problems of a manifest and their order, and texts that are not manifests.
import fc from 'fast-check';
import t from 'tap';
import { stringify } from 'yaml';
import { UserError } from '../../crds/facts/user-error.ts';
import { manifestError } from '../support/manifest-error.ts';
import { MINIMAL, jobWith, minimalSpec } from '../support/smallest-job.ts';

t.test('every problem of a manifest is reported at once, with its line, in the order of the text', (t) => {
  const text = `apiVersion: fedbiot.io/v1alpha1
kind: FedBiOTJob
metadata: { name: Bad }
spec:
  sped: 2
  seed: 1.5
  model: { uri: "hf://x", dtpe: f32 }
  data:
    train: []
  adapter:
    lora:
      targets:
        - q_proj
        - x
  federation:
    clientsPerRound: 4
    quorum: 5
    local:
      optimizer: { betas: [1, 2, 3], momentum: 0.9 }
`;
  const error = manifestError(text);
  t.strictSame(
    error.problems.map(({ line, path }) => `${line} ${path}`),
    [
      '3 metadata.name',
      '5 spec.sped',
      '6 spec.seed',
      '7 spec.model.dtpe',
      '7 spec.model.uri',
      '8 spec.data.public',
      '9 spec.data.train',
      '14 spec.adapter.lora.targets[1]',
      '16 spec.federation.clientsPerRound',
      '17 spec.federation.quorum',
      '19 spec.federation.local.optimizer.betas[0]',
      '19 spec.federation.local.optimizer.betas[1]',
      '19 spec.federation.local.optimizer.betas[2]',
      '19 spec.federation.local.optimizer.betas',
      '19 spec.federation.local.optimizer.momentum',
    ],
  );
  t.ok(error instanceof UserError);
  t.match(error.message, /^job\.yaml is not a valid FedBiOTJob:\n {2}line 3: metadata\.name: must be/);
  t.match(error.hint, /docs\/api\.md/);
  t.end();
});

t.test('rules that read an invalid field are skipped, others are reported', (t) => {
  const federation = { clients: 'three', quorum: 5 };
  const error = manifestError(jobWith('spec', { ...minimalSpec(), federation, evaluation: { task: 'qa' } }));
  t.strictSame(error.problems.map(({ path }) => path).sort(), ['spec.data.eval', 'spec.federation.clients']);
  t.end();
});

t.test('more than eight problems', (t) => {
  const unknown = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`unknown-field-${i}`, i]));
  t.equal(
    manifestError(jobWith('spec', { ...minimalSpec(), adapter: { layers: 0 }, ...unknown, seed: -1 })).problems.length,
    42,
  );
  t.end();
});

t.test('texts that are not manifests', (t) => {
  const cases: [string, number, RegExp][] = [
    ['', 1, /empty/],
    ['# only a comment\n', 1, /empty/],
    ['- a\n- b\n', 1, /must be an object, not a list/],
    ['just words', 1, /must be an object, not the string "just words"/],
    [`${MINIMAL}  seed: 1\n  seed: 2\n`, 11, /unique/],
    [`${MINIMAL}---\n${MINIMAL}`, 11, /second document/],
    [`${MINIMAL}  adapter: {layers: 2\n`, 11, /[Ff]low map/],
    [`${MINIMAL}\tadapter: 1\n`, 10, /[Tt]ab/],
    [`${MINIMAL}  seed: !!js/function 'x'\n`, 10, /tag/],
    [`${MINIMAL}  seed: *nowhere\n`, 10, /\*nowhere refers to no anchor/],
    [`${MINIMAL}  __proto__: { seed: 1 }\n`, 10, /unknown field/],
    [
      `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefgh'].map((n, i) => `${n}: &${n} [${`*${'abcdefg'[i]},`.repeat(9)}]\n`).join('')}`,
      1,
      /with its aliases expanded, it holds more than/,
    ],
  ];
  for (const [text, line, words] of cases) {
    const problem = manifestError(text).problems[0];
    t.equal(problem?.line, line, JSON.stringify(text.slice(-40)));
    t.match(problem?.message, words);
  }
  t.end();
});

t.test('any invalid text is refused with a ManifestError', (t) => {
  const key = fc.constantFrom(
    'apiVersion',
    'kind',
    'metadata',
    'spec',
    'model',
    'data',
    'federation',
    'clients',
    'uri',
    'train',
    '__proto__',
    'a',
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 6 },
      fc.oneof(fc.string(), fc.double(), fc.constant(null), fc.boolean()),
      fc.dictionary(key, tie('tree')),
      fc.array(tie('tree'), { maxLength: 3 }),
    ),
  }));
  fc.assert(
    fc.property(
      fc.oneof(
        tree.map((value) => stringify(value)),
        fc.string(),
      ),
      (text) => {
        t.ok(manifestError(text).problems.length > 0);
      },
    ),
    { numRuns: 300 },
  );
  t.end();
});
