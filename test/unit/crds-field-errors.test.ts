// Each invalid field of a manifest gives one problem, with its path and message.
import t from 'tap';
import { ManifestError, parseManifest } from '../../crds/parse.ts';
import { manifestError } from '../support/manifest-error.ts';
import { jobWith, minimalSpec } from '../support/smallest-job.ts';

const LR = 'spec.federation.local.optimizer.learningRate';

const BETAS = 'spec.federation.local.optimizer.betas';

const TARGETS = 'spec.adapter.lora.targets';

/** The changed field and its value; the reported path if it differs; words of the message. */
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
  ['spec.seed', 2 ** 60, '', /more digits than a number can hold/],
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
    /data\.public is required.*alignment\.schedule: Never, emulator\.layerSelection: Uniform and emulator\.weights/,
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
    const error = manifestError(jobWith(path, value));
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
