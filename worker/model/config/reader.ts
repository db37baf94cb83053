import { UserError } from '../../../crds/facts/user-error.ts';
import { shown } from '../../files/json-value.ts';
import type { JsonObject } from '../../files/json-value.ts';

/**
 * Maximum of each size: far beyond any published model (16 times the layers, width and vocabulary of LLaMA 3.1 405B),
 * and far below sizes that would exhaust memory before the weights are read.
 */
const LIMITS = {
  num_hidden_layers: 4096,
  hidden_size: 1 << 18,
  intermediate_size: 1 << 20,
  num_attention_heads: 1 << 13,
  num_key_value_heads: 1 << 13,
  head_dim: 1 << 13,
  vocab_size: 1 << 22,
  max_position_embeddings: 1 << 27,
  original_max_position_embeddings: 1 << 27,
  sliding_window: 1 << 27,
  max_window_layers: 1 << 20,
} as const;

type Size = keyof typeof LIMITS;

/** Reads single fields; a field that is absent or null takes its default, and is an error if it has none. */
export function fieldReader(json: JsonObject, where: string) {
  const read = <T>(
    name: string,
    byDefault: T | undefined,
    accepted: (value: unknown) => value is T,
    kind: string,
  ): T => {
    const value = json[name] ?? byDefault;
    if (value === undefined) throw new UserError(`${where}: ${name} is missing`);
    if (!accepted(value)) throw new UserError(`${where}: ${name} must be ${kind}, not ${shown(value)}`);
    return value;
  };
  const integer =
    (least: number, most: number) =>
    (value: unknown): value is number =>
      typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
  return {
    size: (name: Size, byDefault?: number) =>
      read(name, byDefault, integer(1, LIMITS[name]), `a positive integer, at most ${LIMITS[name]}`),
    count: (name: Size, byDefault?: number) =>
      read(name, byDefault, integer(0, LIMITS[name]), `a non-negative integer, at most ${LIMITS[name]}`),
    between: (name: string, least: number, most: number, byDefault?: number) =>
      read(
        name,
        byDefault,
        (value): value is number => typeof value === 'number' && value >= least && value <= most,
        `a number from ${least} to ${most}`,
      ),
    flag: (name: string, byDefault: boolean) =>
      read(name, byDefault, (value): value is boolean => typeof value === 'boolean', 'true or false'),
  };
}
