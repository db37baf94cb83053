import { TO_NEAREST } from '../../worker/model/quantize.ts';
import type { OnPublicData } from '../../worker/run/on-public-data.ts';

/** Splits layers by position only, and rounds weights to the nearest level. */
export const withoutPublicData: OnPublicData = {
  influence: () => Promise.reject(new Error('layers are selected by position')),
  rounding: () => TO_NEAREST.Int4,
};
