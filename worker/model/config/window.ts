import { UserError } from '../../../crds/facts/user-error.ts';
import { shown } from '../../files/json-value.ts';
import type { JsonObject } from '../../files/json-value.ts';
import type { FamilyRules } from './families.ts';
import { fieldReader } from './reader.ts';

/**
 * The sliding window of a model in tokens; null if it has none. Models with different windows per layer are refused.
 */
export function parseSlidingWindow(
  json: JsonObject,
  applies: FamilyRules['slidingWindow'],
  layers: number,
  where: string,
): number | null {
  const read = fieldReader(json, where);
  const types = parseLayerTypes(json, layers, where);
  const window = json['sliding_window'] === null ? null : read.size('sliding_window', 4096);
  const slides = applies === 'all-layers' || (applies === 'upper-layers' && read.flag('use_sliding_window', false));
  const widest = slides ? window : null;
  const sliding = types
    ? types.filter((type) => type === 'sliding_attention').length
    : widest === null || applies === 'all-layers'
      ? null
      : Math.max(0, layers - read.count('max_window_layers', 28));
  if (sliding === null) return widest;
  if (widest === null && sliding > 0)
    throw new UserError(`${where}: layer_types has sliding_attention, but there is no sliding_window`, {
      hint: WINDOW,
    });
  if (sliding === 0 && applies !== 'all-layers') return null;
  if (sliding === layers || widest === null) return widest;
  throw new UserError(`${where}: a sliding window on ${sliding} of ${layers} layers is not supported`, {
    hint: WINDOW,
  });
}

const WINDOW = 'The window must apply to all layers or to none (use_sliding_window: false).';

function parseLayerTypes(json: JsonObject, layers: number, where: string): unknown[] | null {
  const types = json['layer_types'];
  if (types === undefined || types === null) return null;
  const isType = (type: unknown) => type === 'full_attention' || type === 'sliding_attention';
  if (Array.isArray(types) && types.length === layers && types.every(isType)) return types;
  throw new UserError(`${where}: layer_types ${shown(types)} is not supported`, {
    hint: `It must list full_attention or sliding_attention for each of the ${layers} layers.`,
  });
}
