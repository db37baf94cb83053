import { isRecord } from '../../../crds/json-schema/node.ts';
import { UserError } from '../../../crds/facts/user-error.ts';
import { isNothing, shown } from '../../files/json-value.ts';
import type { JsonObject } from '../../files/json-value.ts';
import { SUPPORTED, UNKNOWN } from './fields.ts';
import { fieldReader } from './reader.ts';
import { harmless, refuseUnknownFields } from '../../files/known-fields.ts';

type RopeScaling =
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositions: number;
    };

/** Rotary position encoding: its base θ, and the scaling of frequencies for longer contexts. */
export interface Rope {
  readonly theta: number;
  readonly scaling: RopeScaling | null;
}

/** Fields of rotary parameters by kind. */
const ROPE_FIELDS = {
  default: ['rope_theta', 'partial_rotary_factor'],
  linear: ['rope_theta', 'partial_rotary_factor', 'factor'],
  llama3: [
    'rope_theta',
    'partial_rotary_factor',
    'factor',
    'low_freq_factor',
    'high_freq_factor',
    'original_max_position_embeddings',
  ],
} as const;

/**
 * transformers' rotary parameters: `rope_scaling` beside `rope_theta`, else `rope_parameters`; their kind under
 * rope_type or type.
 */
export function parseRope(json: JsonObject, maxPositions: number, where: string): Rope {
  const name = isNothing(json['rope_scaling']) ? 'rope_parameters' : 'rope_scaling';
  const parameters = json[name] ?? {};
  if (!isRecord(parameters)) throw new UserError(`${where}: ${name} is not an object`);
  if (Object.values(parameters).some(isRecord)) {
    throw new UserError(`${where}: ${name} by layer type (${shown(Object.keys(parameters))}) is not supported`, {
      hint: SUPPORTED,
    });
  }
  const kind = parameters['rope_type'] ?? parameters['type'] ?? 'default';
  if (kind !== 'default' && kind !== 'linear' && kind !== 'llama3') {
    throw new UserError(`${where}: rotary scaling ${shown(kind)} is not supported`, {
      hint: 'Only default, linear and llama3 are supported.',
    });
  }
  refuseUnknownFields(
    parameters,
    harmless('rope_type', 'type', ...ROPE_FIELDS[kind]),
    `${where}: ${name} of the kind ${kind}`,
    UNKNOWN,
  );
  const within = fieldReader(parameters, `${where}: ${name}`);
  const beside = fieldReader(json, where);
  // Below 1 the frequencies grow, and soon overflow.
  const theta = within.between('rope_theta', 1, 1e15, beside.between('rope_theta', 1, 1e15, 10_000));
  const rotated = within.between('partial_rotary_factor', 0, 1, beside.between('partial_rotary_factor', 0, 1, 1));
  if (rotated !== 1)
    throw new UserError(`${where}: partial_rotary_factor ${rotated} is not supported`, {
      hint: 'Only 1 is supported.',
    });
  if (kind === 'default') return { theta, scaling: null };
  const factor = within.between('factor', 1, 1e5);
  if (kind === 'linear') return { theta, scaling: { kind, factor } };
  const lowFreqFactor = within.between('low_freq_factor', 1e-3, 1e5);
  const highFreqFactor = within.between('high_freq_factor', 1e-3, 1e5);
  if (highFreqFactor <= lowFreqFactor) {
    throw new UserError(
      `${where}: ${name}: high_freq_factor ${highFreqFactor} must be greater than low_freq_factor ${lowFreqFactor}`,
    );
  }
  const inside = within.size('original_max_position_embeddings', maxPositions);
  const originalMaxPositions = beside.size('original_max_position_embeddings', inside);
  return { theta, scaling: { kind, factor, lowFreqFactor, highFreqFactor, originalMaxPositions } };
}
