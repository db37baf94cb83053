import { Graph } from '../../engine/graph/graph.ts';
import type { Provider } from '../../engine/compute-protocol.ts';
import type { FederatedModel } from '../federated-model.ts';
import { decoderLayer } from '../decoder/layer.ts';
import { ADAPTER, beginPass, EMULATOR, hiddenInput, loraOfPart, runLayers, vectorInput } from './pass.ts';

/** The layers between the embedding and the adapter's last part. */
export type Trunk = 'teacher' | 'emulator';

/** Name of the output after the given layer. */
export function hiddenAfter(layer: number): string {
  return `hidden.${layer}`;
}

/**
 * From the embedding to the hidden states after layers of the trunk, without a tape. Inputs: `hidden` [rows, hidden],
 * the embedding; `positions` and places (beginPass); `adapter` if the adapter has front layers; `emulator` for the
 * emulator. Output `hidden.L` [rows, hidden] for each layer L of `after` (indices in the full model; −1 is the trunk's
 * own input).
 */
export function hiddenStatesProgram(
  model: FederatedModel,
  trunk: Trunk,
  after: readonly number[],
  provider: Provider,
): Graph {
  const graph = new Graph();
  const { front } = model.split;
  const adapter = front.length > 0 ? vectorInput(graph, ADAPTER, model.adapter) : undefined;
  const emulator = trunk === 'emulator' ? vectorInput(graph, EMULATOR, model.emulator) : undefined;
  const frontLora = loraOfPart(adapter, model.adapter);
  const trunkLora = loraOfPart(emulator, model.emulator);
  const pass = beginPass(graph, model, (layer) => (front.includes(layer) ? frontLora : trunkLora)(layer), {
    forwardOn: provider,
    emulates: trunk === 'emulator',
  });
  let h = runLayers(pass, front, hiddenInput(pass));
  if (after.includes(-1)) graph.output(hiddenAfter(-1), h);
  for (const layer of model.split[trunk]) {
    h = decoderLayer(pass, layer, h).h;
    if (after.includes(layer)) graph.output(hiddenAfter(layer), h);
  }
  return graph;
}
