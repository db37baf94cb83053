import type { DefaultedSpec, FedBiOTJobSpec, Method, Placement } from './types.ts';

interface MethodPreset {
  readonly layerDropRate: number;
  readonly schedule: FedBiOTJobSpec['emulator']['alignment']['schedule'];
  readonly languageModelWeight: number;
  readonly placement: Placement;
  readonly proximalWeight: number;
}

/**
 * The defaults in which the methods differ. The published comparison changes all of them at once; an ablation changes
 * one at a time.
 */
const METHODS: Record<Method, MethodPreset> = {
  FedBiOT: {
    layerDropRate: 0.5,
    schedule: 'EveryRound',
    languageModelWeight: 0,
    placement: 'Last',
    proximalWeight: 0.1,
  },
  OffsiteTuning: {
    layerDropRate: 0.5,
    schedule: 'Once',
    languageModelWeight: 0.1,
    placement: 'Both',
    proximalWeight: 0,
  },
  FedOT: { layerDropRate: 0.5, schedule: 'Never', languageModelWeight: 0, placement: 'Both', proximalWeight: 0 },
  FullModel: { layerDropRate: 0, schedule: 'Never', languageModelWeight: 0, placement: 'Last', proximalWeight: 0 },
};

/** Four adapter layers in both cases: the last four, or two at each end. */
const LAYERS: Record<Placement, number> = { Last: 4, Both: 2 };

/** Fills in the fields whose default depends on other fields; fields that are set are kept. */
export function resolvePresets(spec: DefaultedSpec): FedBiOTJobSpec {
  const { emulator, adapter, federation } = spec;
  const preset = METHODS[spec.method];
  const clientsPerRound = federation.clientsPerRound ?? federation.clients;
  const placement = adapter.placement ?? preset.placement;
  return {
    ...spec,
    emulator: {
      ...emulator,
      layerDropRate: emulator.layerDropRate ?? preset.layerDropRate,
      alignment: {
        ...emulator.alignment,
        schedule: emulator.alignment.schedule ?? preset.schedule,
        languageModelWeight: emulator.alignment.languageModelWeight ?? preset.languageModelWeight,
      },
    },
    adapter: { ...adapter, placement, layers: adapter.layers ?? LAYERS[placement] },
    federation: {
      ...federation,
      clientsPerRound,
      quorum: federation.quorum ?? Math.ceil(clientsPerRound / 2),
      local: { ...federation.local, proximalWeight: federation.local.proximalWeight ?? preset.proximalWeight },
    },
  };
}
