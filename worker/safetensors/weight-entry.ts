import type { FloatDtype } from './float-formats.ts';

/** Where a weight lies on disk, and how it is stored. */
export interface WeightEntry {
  /** Absolute path, symbolic links resolved. */
  readonly file: string;
  readonly dtype: FloatDtype;
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}
