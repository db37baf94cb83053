import { COPIED_WEIGHT_BYTES, WIDENED_INT4_BYTES } from '../engine/compute.ts';
import { INT8_BLOCKS } from '../engine/ops/int8-matrix.ts';
import { FINAL_NORM, headName, layerOf } from '../model/config/tensors.ts';
import { withComputeWeights } from '../model/federated-model.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { FLOAT_BYTES } from '../safetensors/float-formats.ts';
import type { Session } from './role-demand.ts';
import { weightsOf } from './weight-bytes.ts';
import type { WeightSize } from './weight-bytes.ts';

/** What decides which weights a session has, and how. */
export type WeightSelection = Pick<Session, 'layers' | 'trunk' | 'head' | 'trains' | 'generates' | 'onServer'>;

/**
 * Memory that packing adds. Forward and backward pass read a weight in two orders, so there are two copies, which
 * replace the mapped one; measured.
 */
export function packedWeights(model: FederatedModel, session: Session): number {
  const weights = sessionWeights(model, session);
  if (!session.trains || areLarge(session, weights)) return 0;
  const head = headName(model.config);
  const packed = weights.filter(({ name }) => layerOf(name) !== null || name === head);
  return packed.reduce((sum, { values }) => sum + values * FLOAT_BYTES.F32, 0);
}

/**
 * The float32 copies of large half-precision weights that exist at once: a product's and the next one's; of the head
 * all slices, which a loop reads.
 */
export function widenedAtUse(
  model: FederatedModel,
  session: WeightSelection,
): { readonly layers: number; readonly head: number } {
  const weights = weightsOfSession(model, session);
  if (!areLarge(session, weights)) return { layers: 0, head: 0 };
  const float32 = weights
    .filter((weight) => isWidened(model, session, weight))
    .map(({ name, values }) => ({ name, bytes: values * FLOAT_BYTES.F32 }));
  const head = float32.find(({ name }) => name === headName(model.config));
  const layers = 2 * Math.max(0, ...float32.filter((each) => each !== head).map(({ bytes }) => bytes));
  return { layers, head: head?.bytes ?? 0 };
}

/**
 * A session's weights as they are resident: mapped, or its own. Those in half precision are widened, unless all are
 * large. Those in 4 bits are packed, without growing, and the gradient of a large graph reads the mapped ones as well.
 */
export function sessionWeights(model: FederatedModel, session: WeightSelection) {
  const weights = weightsOfSession(model, session);
  const stayInFiles = areLarge(session, weights);
  return weights.map((weight) => {
    const { bytes, values, stored } = weight;
    if (stored === 'Int4')
      return { ...weight, widened: false, own: bytes, mapped: stayInFiles && session.trains ? bytes : 0 };
    // A gradient's copy of a quantised weight is a packed one.
    const isPacked = stored === 'Int8' && session.trains === true;
    const widened = !stayInFiles && !isPacked && isWidened(model, session, weight);
    return {
      ...weight,
      widened,
      ...(widened
        ? { own: values * FLOAT_BYTES.F32, mapped: 0 }
        : { own: termBytes(model, session, weight), mapped: bytes }),
    };
  });
}

/**
 * Whether products read a float32 copy: of quantised weights only the gradient does, of those in 8 bits only if the
 * processor takes bytes.
 */
function isWidened(model: FederatedModel, session: WeightSelection, { stored }: WeightSize): boolean {
  switch (stored) {
    case 'Int8':
      return session.trains === true || modelOfSession(model, session).quantized?.product !== 'Int8';
    case 'Int4':
      return session.trains === true;
    default:
      return stored !== 'F32';
  }
}

/** Bytes of the zero-point terms of a weight in 8 bits: as many as its scales, for each block of the inputs. */
function termBytes(model: FederatedModel, session: WeightSelection, { stored, values, bytes }: WeightSize): number {
  const subtracts = session.generates && modelOfSession(model, session).quantized?.product === 'Int8';
  return subtracts && stored === 'Int8' ? INT8_BLOCKS * (bytes - values) : 0;
}

const modelOfSession = (model: FederatedModel, { onServer }: WeightSelection): FederatedModel =>
  onServer ? withComputeWeights(model) : model;

export function weightsOfSession(model: FederatedModel, session: WeightSelection) {
  const { layers, trunk, head } = session;
  const names = new Set(head ? [FINAL_NORM, headName(model.config)] : []);
  const isRead = (name: string, layer: number | null) => (layer === null ? names.has(name) : layers.includes(layer));
  return weightsOf(modelOfSession(model, session), isRead, trunk);
}

/** Whether the engine leaves the weights of a session's graph in their files. */
export function areLarge({ trains }: Pick<Session, 'trains'>, weights: readonly WeightSize[]): boolean {
  const counted = ({ bytes, values, stored }: WeightSize) =>
    stored === 'Int4' && trains ? bytes + WIDENED_INT4_BYTES * values : bytes;
  return weights.reduce((sum, weight) => sum + counted(weight), 0) > COPIED_WEIGHT_BYTES;
}
