import fc from 'fast-check';
import t from 'tap';
import { parse, stringify } from 'yaml';
import { ManifestError, parseManifest } from '../../crds/parse.ts';
import type { FedBiOTJob } from '../../crds/types.ts';
import { UserError } from '../../crds/facts/user-error.ts';

const MINIMAL = `apiVersion: fedbiot.io/v1alpha1
kind: FedBiOTJob
metadata:
  name: smallest
spec:
  model: { uri: models/small }
  data:
    train: { uri: private.jsonl }
    public: { uri: public.jsonl }
`;

/** The minimal job with one value set, deeply; `undefined` removes the field. */
function jobWith(path: string, value: unknown): string {
  const job: Record<string, unknown> = {
    apiVersion: 'fedbiot.io/v1alpha1',
    kind: 'FedBiOTJob',
    metadata: { name: 'smallest' },
    spec: {
      model: { uri: 'models/small' },
      data: { train: { uri: 'private.jsonl' }, public: { uri: 'public.jsonl' } },
    },
  };
  const steps = path.split('.');
  let at: object = job;
  for (const step of steps.slice(0, -1)) {
    const next: unknown = Reflect.get(at, step) ?? {};
    if (typeof next !== 'object' || next === null) throw new Error(`${path}: ${step} is not an object`);
    Reflect.set(at, step, next);
    at = next;
  }
  if (value === undefined) Reflect.deleteProperty(at, steps.at(-1)!);
  else Reflect.set(at, steps.at(-1)!, value);
  return stringify(job);
}

const minimalSpec = () => ({ model: { uri: 'm' }, data: { train: { uri: 'a' }, public: { uri: 'b' } } });

function errorOf(text: string): ManifestError {
  try {
    parseManifest(text, 'job.yaml');
  } catch (error) {
    if (error instanceof ManifestError) return error;
    throw error;
  }
  throw new Error(`accepted:\n${text}`);
}

t.test('the smallest manifest gets every default', (t) => {
  const { spec, ...rest } = parseManifest(MINIMAL, 'job.yaml');
  const lora = {
    rank: 8,
    alpha: 16,
    dropout: 0,
    targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
  };
  const optimizer = {
    kind: 'AdamW',
    learningRate: 5e-4,
    betas: [0.9, 0.999],
    epsilon: 1e-8,
    weightDecay: 0,
    momentum: 0,
    clipNorm: 1,
    schedule: 'Constant',
    warmupSteps: 0,
  };
  const source = { format: 'Auto', template: 'Alpaca' };
  t.strictSame(rest, { apiVersion: 'fedbiot.io/v1alpha1', kind: 'FedBiOTJob', metadata: { name: 'smallest' } });
  t.strictSame(spec, {
    method: 'FedBiOT',
    seed: 0,
    model: { uri: 'models/small', dtype: 'auto' },
    emulator: {
      layerDropRate: 0.5,
      layerSelection: 'Uniform',
      alignment: {
        schedule: 'EveryRound',
        initialSteps: 100,
        stepsPerRound: 10,
        batchSize: 4,
        sequenceLength: 256,
        similarity: 'L2PerToken',
        klWeight: 0,
        languageModelWeight: 0,
        lora,
        optimizer: { ...optimizer, learningRate: 3e-3 },
      },
    },
    adapter: { placement: 'Last', layers: 4, lora },
    data: {
      train: { uri: 'private.jsonl', ...source },
      public: { uri: 'public.jsonl', ...source },
      shuffle: true,
      partition: { kind: 'IID', alpha: 0.5, field: 'category' },
    },
    federation: {
      rounds: 10,
      clients: 3,
      clientsPerRound: 3,
      quorum: 2,
      roundDeadlineSeconds: 3600,
      maxRoundRetries: 3,
      dropoutRate: 0,
      local: { steps: 30, batchSize: 1, gradientAccumulation: 1, sequenceLength: 512, optimizer, proximalWeight: 0.1 },
      aggregation: { kind: 'FedAvg' },
    },
    evaluation: { task: 'loss', everyRounds: 1, limit: 0, maxNewTokens: 256, batchSize: 8 },
    checkpoint: { everyRounds: 1, keep: 2 },
    server: {},
    client: { pods: 1, parallelClients: 1 },
    suspend: false,
    backoffLimit: 6,
  });
  t.end();
});

t.test('two jobs share no default', (t) => {
  const [a, b] = [parseManifest(MINIMAL, 'a'), parseManifest(MINIMAL, 'b')];
  a.spec.adapter.lora.targets.pop();
  a.spec.federation.local.optimizer.betas[0] = 0;
  a.spec.emulator.alignment.lora.rank = 1;
  t.strictSame(parseManifest(MINIMAL, 'c'), b);
  t.end();
});

t.test('valid manifests', (t) => {
  const accepted = (text: string) => parseManifest(text, 'job.yaml').spec;
  const set = (path: string, value: unknown) => accepted(jobWith(path, value));
  t.match(set('spec.model.uri', 'hf://HuggingFaceTB/SmolLM2-135M@refs/pr/1').model, { uri: /SmolLM2/ });
  t.match(set('spec.model.uri', 'file:///models/a%20b').model, { uri: 'file:///models/a%20b' });
  t.match(set('spec.data.train.uri', '/data/with @ and : in it.jsonl').data.train, { format: 'Auto' });
  t.match(set('spec.data.train.uri', 'hf://datasets/tatsu-lab/alpaca@v1/data/a.jsonl').data.train, {
    template: 'Alpaca',
  });
  t.match(set('spec.seed', 1e3), { seed: 1000 });
  t.match(set('spec.adapter.lora.targets', ['q_proj']).adapter.lora, { targets: ['q_proj'] });
  t.match(set('spec.emulator.layerDropRate', 0.999).emulator, { layerDropRate: 0.999 });
  t.match(set('spec.federation.clientsPerRound', 1).federation, { clients: 3, clientsPerRound: 1 });
  t.match(set('spec.federation.clients', 7).federation, { clients: 7, clientsPerRound: 7 });
  t.match(set('spec.federation.local.optimizer', { kind: 'SGD', momentum: 0.9 }).federation.local.optimizer, {
    momentum: 0.9,
    learningRate: 5e-4,
  });
  t.match(accepted(jobWith('spec.evaluation', null)).evaluation, { task: 'loss' }, 'an empty field counts as left out');
  t.match(accepted(JSON.stringify({ ...parseManifest(MINIMAL, '') })), { method: 'FedBiOT' }, 'JSON is YAML');
  t.match(accepted(`---\n${MINIMAL}---\n# nothing\n`), { seed: 0 }, 'an empty document after the job does not count');
  t.match(
    accepted(`${MINIMAL}  adapter: { lora: &l { rank: 2 } }\n  emulator: { alignment: { lora: { <<: *l, alpha: 4 } } }`)
      .emulator.alignment,
    { lora: { rank: 2, alpha: 4 } },
    'anchors and merge keys',
  );
  for (const method of ['FedOT', 'FullModel']) {
    t.notOk(
      accepted(jobWith('spec', { ...minimalSpec(), method, data: { train: { uri: 'a' } } })).data.public,
      `${method} needs no public data`,
    );
  }
  t.end();
});

t.test('what kubectl prints is accepted; what the API server added is left out', (t) => {
  const { metadata, spec } = parseManifest(MINIMAL, 'job.yaml');
  const server = {
    uid: 'x',
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '2025-01-01T00:00:00Z',
    managedFields: [{ a: 1 }],
  };
  const labels = { team: 'nlp' };
  const printed = {
    apiVersion: 'fedbiot.io/v1alpha1',
    kind: 'FedBiOTJob',
    metadata: { ...metadata, ...server, namespace: 'default', labels },
    spec,
    status: { phase: 'Running' },
  };
  t.strictSame(parseManifest(stringify(printed), ''), {
    apiVersion: 'fedbiot.io/v1alpha1',
    kind: 'FedBiOTJob',
    metadata: { ...metadata, namespace: 'default', labels },
    spec,
  });
  t.end();
});

const LR = 'spec.federation.local.optimizer.learningRate';
const BETAS = 'spec.federation.local.optimizer.betas';
const TARGETS = 'spec.adapter.lora.targets';

/** What is set, to what; the path blamed, where it is another; words of the message. */
const INVALID: [path: string, value: unknown, blamed: string | null, words: RegExp][] = [
  ['apiVersion', undefined, null, /is required/],
  ['apiVersion', 'fedbiot.io/v1', null, /must be fedbiot\.io\/v1alpha1, not the string "fedbiot\.io\/v1"/],
  ['kind', 'Job', null, /must be FedBiOTJob/],
  ['kind', undefined, null, /is required/],
  ['metadata', undefined, null, /is required/],
  ['metadata', 'x', null, /must be an object, not the string "x"/],
  ['metadata.name', undefined, null, /is required/],
  ['metadata.name', '', null, /not the string ""/],
  ['metadata.name', 'My_Job', null, /lower-case letters, digits and dashes/],
  ['metadata.name', '-a', null, /letter or digit at either end/],
  ['metadata.name', 'a'.repeat(53), null, /at most 52 characters/],
  ['metadata.name', 7, null, /must be a string, not 7/],
  ['metadata.nmae', 'x', null, /unknown field; did you mean name\?/],
  ['metadata.namespace', 'a b', null, /lower-case/],
  ['metadata.labels', { a: 1 }, 'metadata.labels.a', /must be a string, not 1/],
  ['sepc', {}, null, /unknown field; did you mean spec\?/],
  ['spec', undefined, null, /is required/],
  ['spec', [], null, /must be an object, not a list/],
  ['spec.zzz', 1, null, /^unknown field$/],
  ['spec.zzz', null, null, /^unknown field$/],
  ['spec.layers', 4, null, /did you mean spec\.adapter\.layers\?/],
  ['spec.Seed', 1, null, /did you mean seed\?/],
  [
    'spec.method',
    'fedbiot',
    null,
    /one of FedBiOT, OffsiteTuning, FedOT, FullModel, not the string "fedbiot"; did you mean FedBiOT\?/,
  ],
  ['spec.method', 3, null, /one of FedBiOT, .*, not 3/],
  ['spec.seed', 1.5, null, /must be an integer, not 1.5/],
  ['spec.seed', -1, null, /at least 0 and at most 9007199254740991, not -1/],
  ['spec.seed', 2 ** 53, null, /at most 9007199254740991/],
  ['spec.seed', 2 ** 60, '', /more digits than a number can keep/],
  ['spec.seed', '7', null, /must be an integer, not the string "7"/],
  ['spec.model', undefined, null, /is required/],
  ['spec.model.uri', undefined, null, /is required/],
  ['spec.model.uri', '', null, /must not be empty/],
  ['spec.model.uri', 'https://example.org/m', null, /a path, a file:\/\/\/… URL or hf:\/\//],
  ['spec.model.uri', 'hf://SmolLM2-135M', null, /hf:\/\/org\/name@revision/],
  ['spec.model.uri', 'x'.repeat(5000), null, /at most 4096 characters/],
  ['spec.model.dtype', 'fp16', null, /one of auto, float32, bfloat16, float16, not the string "fp16"/],
  ['spec.emulator', 0.5, null, /must be an object, not 0.5/],
  ['spec.emulator.layerDropRate', 1, null, /at least 0 and below 1, not 1/],
  ['spec.emulator.layerDropRate', -0.1, null, /at least 0 and below 1/],
  ['spec.emulator.layerDropRate', NaN, '', /\.nan is not a finite number/],
  ['spec.emulator.layerDroprate', 0.5, null, /did you mean layerDropRate\?/],
  ['spec.emulator.layer_drop_rate', 0.5, null, /did you mean layerDropRate\?/],
  ['spec.emulator.layerSelection', 'importance', null, /did you mean Importance\?/],
  ['spec.emulator.alignment.schedule', 'Always', null, /one of EveryRound, Once, Never/],
  ['spec.emulator.alignment.initialSteps', -1, null, /at least 0/],
  ['spec.emulator.alignment.similarity', 'l2', null, /did you mean L2\?/],
  ['spec.emulator.alignment.klWeight', -1, null, /at least 0/],
  ['spec.emulator.alignment.klWeight', Infinity, '', /\.inf is not a finite number/],
  ['spec.emulator.alignment.languageModelWeight', 1.1, null, /at least 0 and at most 1/],
  ['spec.emulator.alignment.lora.alpha', 0, null, /above 0 and at most 65536/],
  ['spec.adapter.placement', 'First', null, /one of Last, Both/],
  ['spec.adapter.layers', 0, null, /at least 1/],
  ['spec.adapter.lora.rank', 0, null, /at least 1/],
  ['spec.adapter.lora.dropout', 1, null, /below 1/],
  ['spec.adapter.initFrom', '', null, /must not be empty/],
  [TARGETS, [], null, /at least 1 item$/],
  [TARGETS, 'q_proj', null, /must be a list, not the string "q_proj"/],
  [TARGETS, ['q_proj', 'lm_head'], `${TARGETS}[1]`, /one of q_proj, .*, not the string "lm_head"/],
  [TARGETS, ['q_proj', null], `${TARGETS}[1]`, /not nothing/],
  [TARGETS, ['q_proj', 'v_proj', 'q_proj'], `${TARGETS}[2]`, /in the list twice: the string "q_proj"/],
  ['spec.data', undefined, null, /is required/],
  ['spec.data.train', undefined, null, /is required/],
  ['spec.data.train', 'private.jsonl', null, /must be an object, not the string "private.jsonl"/],
  ['spec.data.train.uri', 'http://example.org/a.jsonl', null, /must be a path, a file:\/\/\/… URL or hf:\/\/datasets/],
  ['spec.data.train.uri', 'hf://tatsu-lab/alpaca', null, /written hf:\/\/datasets\/org\/name\/path/],
  ['spec.data.train.uri', 'file://data/a.jsonl', null, /a file:\/\/\/… URL/],
  ['spec.data.train.format', 'CSV', null, /one of Auto, Alpaca, Dolly, GSM8K, QuestionAnswer, Chat, Tokenized/],
  ['spec.data.train.path', 'x', null, /unknown field/],
  [
    'spec.data.public',
    undefined,
    null,
    /data\.public is required.*alignment\.schedule: Never and emulator\.layerSelection: Uniform/,
  ],
  ['spec.data.public.uri', null, null, /is required/],
  ['spec.data.eval', {}, 'spec.data.eval.uri', /is required/],
  ['spec.data.shuffle', 'yes', '', /yes is true to kubectl.*write true, or "yes"/],
  ['spec.data.shuffle', 'si', null, /must be true or false, not the string "si"/],
  ['spec.data.partition.kind', 'dirichlet', null, /did you mean Dirichlet\?/],
  ['spec.data.partition.alpha', 0, null, /above 0/],
  ['spec.federation.rounds', 0, null, /at least 1/],
  ['spec.federation.clients', 0, null, /at least 1/],
  ['spec.federation.clientsPerRound', 4, null, /clientsPerRound must not exceed clients/],
  ['spec.federation.quorum', 4, null, /quorum must not exceed clientsPerRound/],
  ['spec.data.date', '2026-02-30', null, /^it must be a day, as 2026-11-30$/],
  ['spec.federation.quorum', 0, null, /at least 1/],
  ['spec.federation.roundDeadlineSeconds', -1, null, /at least 0/],
  ['spec.federation.dropoutRate', 1, null, /at least 0 and below 1/],
  ['spec.federation.local.steps', 0, null, /at least 1/],
  ['spec.federation.local.sequenceLength', 1, null, /at least 2/],
  ['spec.federation.local.proximalWeight', -0.1, null, /at least 0/],
  [
    'spec.federation.local.optimizer.kind',
    'Adam',
    null,
    /one of AdamW, SGD, not the string "Adam"; did you mean AdamW\?/,
  ],
  ['spec.federation.local.optimizer.momentum', 0.9, null, /momentum is for SGD only/],
  ['spec.federation.local.optimizer.warmupSteps', 31, null, /must not exceed steps/],
  ['spec.federation.aggregation.kind', 'FedProx', null, /must be FedAvg, not the string "FedProx"/],
  [LR, 0, null, /above 0 and at most 1000, not 0/],
  [LR, '5e-4', null, /must be a finite number, not the string "5e-4"/],
  ['spec.federation.local.optimizer.lr', 1, null, /unknown field/],
  [BETAS, [0.9], null, /at least 2 items/],
  [BETAS, [0.9, 0.99, 0.999], null, /at most 2 items/],
  [BETAS, [0.9, 1], `${BETAS}[1]`, /below 1/],
  ['spec.evaluation.task', 'GSM8k', null, /one of loss, gsm8k, qa, tokens, .*did you mean gsm8k\?/],
  ['spec.evaluation.task', 'gsm8k', 'spec.data.eval', /data\.eval is required: evaluation\.task/],
  ['spec.evaluation.maxNewTokens', 0, null, /at least 1/],
  ['spec.checkpoint.keep', 0, null, /at least 1/],
  ['spec.emulator.alignment.optimizer.schedule', 'linear', null, /did you mean Linear\?/],
];

t.test('invalid manifests: one problem each, at its path, in plain words', (t) => {
  for (const [path, value, blamed, words] of INVALID) {
    const error = errorOf(jobWith(path, value));
    t.strictSame(
      error.problems.map((problem) => problem.path),
      [blamed ?? path],
      `${path}: ${JSON.stringify(value)}`,
    );
    t.match(error.problems[0]?.message, words);
  }
  t.end();
});

t.test('public data is required exactly where it is used', (t) => {
  const problems = (spec: object) => {
    try {
      parseManifest(jobWith('spec', { ...minimalSpec(), data: { train: { uri: 'a' } }, ...spec }), '');
      return [];
    } catch (error) {
      return error instanceof ManifestError ? error.problems.map(({ path }) => path) : [String(error)];
    }
  };
  t.strictSame(problems({}), ['spec.data.public']);
  t.strictSame(problems({ method: 'OffsiteTuning' }), ['spec.data.public']);
  t.strictSame(problems({ method: 'FedOT' }), []);
  t.strictSame(problems({ method: 'FullModel' }), []);
  t.strictSame(problems({ emulator: { alignment: { schedule: 'Never' } } }), []);
  t.strictSame(problems({ method: 'FedOT', emulator: { alignment: { schedule: 'Once' } } }), ['spec.data.public']);
  t.strictSame(problems({ method: 'FedOT', emulator: { layerSelection: 'Importance' } }), ['spec.data.public']);
  t.end();
});

t.test('every problem of a manifest is told at once, with its line, in the order of the text', (t) => {
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
  const error = errorOf(text);
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

t.test('rules that read a broken field keep silent, others speak', (t) => {
  const federation = { clients: 'three', quorum: 5 };
  const error = errorOf(jobWith('spec', { ...minimalSpec(), federation, evaluation: { task: 'qa' } }));
  t.strictSame(error.problems.map(({ path }) => path).sort(), ['spec.data.eval', 'spec.federation.clients']);
  t.end();
});

t.test('more than eight problems', (t) => {
  const unknown = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`unknown-field-${i}`, i]));
  t.equal(
    errorOf(jobWith('spec', { ...minimalSpec(), adapter: { layers: 0 }, ...unknown, seed: -1 })).problems.length,
    42,
  );
  t.end();
});

t.test('texts that are no manifest', (t) => {
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
    [`${MINIMAL}  seed: *nowhere\n`, 10, /\*nowhere names no anchor/],
    [`${MINIMAL}  __proto__: { seed: 1 }\n`, 10, /unknown field/],
    [
      `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefgh'].map((n, i) => `${n}: &${n} [${`*${'abcdefg'[i]},`.repeat(9)}]\n`).join('')}`,
      1,
      /aliases stand for, it holds more than/,
    ],
  ];
  for (const [text, line, words] of cases) {
    const problem = errorOf(text).problems[0];
    t.equal(problem?.line, line, JSON.stringify(text.slice(-40)));
    t.match(problem?.message, words);
  }
  t.end();
});

t.test('a job written out and read again is the same job', (t) => {
  const rate = fc.double({ min: 0, max: 0.99, noNaN: true });
  const positive = fc.double({ min: 1e-9, max: 1000, noNaN: true });
  const lora = fc.record(
    {
      rank: fc.integer({ min: 1, max: 1024 }),
      dropout: rate,
      alpha: positive,
      targets: fc.constantFrom(['q_proj'], ['k_proj', 'up_proj']),
    },
    { requiredKeys: [] },
  );
  const optimizer = fc.record(
    { kind: fc.constantFrom('AdamW', 'SGD'), learningRate: positive, betas: fc.tuple(rate, rate), clipNorm: positive },
    { requiredKeys: [] },
  );
  const spec = fc.record(
    {
      model: fc.record({ uri: fc.stringMatching(/^[^:\r\n]{1,40}$/) }),
      data: fc.record({
        train: fc.record({ uri: fc.constant('a') }),
        public: fc.record({ uri: fc.stringMatching(/^[^:]{1,40}$/) }),
      }),
      method: fc.constantFrom('FedBiOT', 'OffsiteTuning', 'FedOT', 'FullModel'),
      seed: fc.maxSafeNat(),
      emulator: fc.record(
        { layerDropRate: rate, alignment: fc.record({ lora, optimizer }, { requiredKeys: [] }) },
        { requiredKeys: [] },
      ),
      adapter: fc.record(
        { placement: fc.constantFrom('Last', 'Both'), layers: fc.integer({ min: 1, max: 99 }), lora },
        { requiredKeys: [] },
      ),
      federation: fc.record(
        {
          clients: fc.integer({ min: 1, max: 99 }),
          dropoutRate: rate,
          local: fc.record({ optimizer }, { requiredKeys: [] }),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: ['model', 'data'] },
  );
  fc.assert(
    fc.property(spec, (spec) => {
      const job = parseManifest(JSON.stringify(parse(jobWith('spec', spec))), 'first');
      const again: FedBiOTJob = parseManifest(
        stringify(job, { defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' }),
        'again',
      );
      t.strictSame(again, job);
      return t.passing();
    }),
    { numRuns: 100 },
  );
  t.end();
});

t.test('any garbage is refused with a ManifestError, never with another', (t) => {
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
        t.ok(errorOf(text).problems.length > 0);
      },
    ),
    { numRuns: 300 },
  );
  t.end();
});
