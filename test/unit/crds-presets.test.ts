import t from 'tap';
import { stringify } from 'yaml';
import { parseManifest } from '../../crds/parse.ts';
import type { FedBiOTJobSpec } from '../../crds/types.ts';

interface Settable {
  method: string;
  emulator?: object;
  adapter?: object;
  federation?: object;
}

const resolved = (settings: Settable) =>
  parseManifest(
    stringify({
      apiVersion: 'fedbiot.io/v1alpha1',
      kind: 'FedBiOTJob',
      metadata: { name: 'x' },
      spec: { model: { uri: 'm' }, data: { train: { uri: 'a' }, public: { uri: 'b' } }, ...settings },
    }),
    'job.yaml',
  ).spec;

/** The fields that presets fill. */
const presets = ({ emulator, adapter, federation }: FedBiOTJobSpec) => ({
  layerDropRate: emulator.layerDropRate,
  schedule: emulator.alignment.schedule,
  languageModelWeight: emulator.alignment.languageModelWeight,
  placement: adapter.placement,
  layers: adapter.layers,
  proximalWeight: federation.local.proximalWeight,
  clientsPerRound: federation.clientsPerRound,
  quorum: federation.quorum,
});

const METHODS = {
  FedBiOT: [0.5, 'EveryRound', 0, 'Last', 4, 0.1],
  OffsiteTuning: [0.5, 'Once', 0.1, 'Both', 2, 0],
  FedOT: [0.5, 'Never', 0, 'Both', 2, 0],
  FullModel: [0, 'Never', 0, 'Last', 4, 0],
};

t.test('what each method presets', (t) => {
  for (const [method, expected] of Object.entries(METHODS)) {
    t.strictSame(Object.values(presets(resolved({ method }))), [...expected, 3, 2], method);
  }
  t.end();
});

t.test('the quorum is half of the clients drawn, rounded up, unless it is given', (t) => {
  for (const [clientsPerRound, quorum] of [
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 2],
    [9, 5],
  ] as const) {
    const { federation } = resolved({ method: 'FedBiOT', federation: { clients: 9, clientsPerRound } });
    t.match(federation, { clientsPerRound, quorum });
  }
  t.match(resolved({ method: 'FedBiOT', federation: { clients: 7 } }).federation, { clientsPerRound: 7, quorum: 4 });
  t.match(resolved({ method: 'FedBiOT', federation: { clients: 7, quorum: 1 } }).federation, { quorum: 1 });
  t.end();
});

t.test('each preset field can be set alone, and moves no other', (t) => {
  type Override = [name: string, value: unknown, settings: Omit<Settable, 'method'>];
  const overrides: Override[] = [
    ['layerDropRate', 0.2, { emulator: { layerDropRate: 0.2 } }],
    ['languageModelWeight', 0.3, { emulator: { alignment: { languageModelWeight: 0.3 } } }],
    ['layers', 7, { adapter: { layers: 7 } }],
    ['proximalWeight', 0.7, { federation: { local: { proximalWeight: 0.7 } } }],
    ['quorum', 1, { federation: { quorum: 1 } }],
    ...['EveryRound', 'Once', 'Never'].map((schedule): Override => [
      'schedule',
      schedule,
      { emulator: { alignment: { schedule } } },
    ]),
    // Zero is a value, not a missing field.
    ['layerDropRate', 0, { emulator: { layerDropRate: 0 } }],
    ['languageModelWeight', 0, { emulator: { alignment: { languageModelWeight: 0 } } }],
    ['proximalWeight', 0, { federation: { local: { proximalWeight: 0 } } }],
  ];
  for (const method of Object.keys(METHODS)) {
    const usual = presets(resolved({ method }));
    for (const [name, value, settings] of overrides) {
      t.strictSame(
        presets(resolved({ method, ...settings })),
        { ...usual, [name]: value },
        `${method}, ${name} = ${value}`,
      );
    }
  }
  t.end();
});

t.test('the number of layers follows the placement, whether a preset or the job chose it', (t) => {
  for (const method of Object.keys(METHODS)) {
    t.match(presets(resolved({ method, adapter: { placement: 'Both' } })), { placement: 'Both', layers: 2 });
    t.match(presets(resolved({ method, adapter: { placement: 'Last' } })), { placement: 'Last', layers: 4 });
  }
  t.end();
});
