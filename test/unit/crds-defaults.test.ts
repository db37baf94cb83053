// A valid manifest: its defaults, and that it is the same job when it is written and read again.
import fc from 'fast-check';
import t from 'tap';
import { parse, stringify } from 'yaml';
import { parseManifest } from '../../crds/parse.ts';
import type { FedBiOTJob } from '../../crds/types.ts';
import { MINIMAL, jobWith, minimalSpec } from '../support/smallest-job.ts';

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
    model: { uri: 'models/small', dtype: 'auto', computeWeights: 'AsStored' },
    emulator: {
      layerDropRate: 0.5,
      layerSelection: 'Uniform',
      weights: 'AsStored',
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

t.test('kubectl’s output is accepted; fields that the API server added are left out', (t) => {
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
