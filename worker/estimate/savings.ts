import { formatBytes } from '../report/format.ts';

/** Settings that need less than others, and what was changed, as a user would write it. */
export interface Change<Settings> {
  readonly words: string;
  readonly settings: Settings;
}

/** The changes of one setting that may need less, the mildest first. None if it has its least value. */
export type Saving<Settings> = (settings: Settings) => readonly Change<Settings>[];

/** Changes that are made together, and what the work then needs. */
interface Saved {
  readonly words: readonly string[];
  readonly bytes: number;
}

/**
 * Says which changes make some work fit, each with its estimate: every single change that suffices, the mildest of its
 * setting; or else several together, of which each is the one that saves most.
 * @param bytesOf what the work needs with other settings, by the same estimate
 * @param available what it may use, in bytes
 * @returns a sentence
 */
export function adviceOf<Settings>(
  settings: Settings,
  savings: readonly Saving<Settings>[],
  { bytesOf, available }: { bytesOf: (settings: Settings) => number; available: number },
): string {
  const single = savings.flatMap((saving): Saved[] => {
    const found = saving(settings).find((change) => bytesOf(change.settings) <= available);
    return found === undefined ? [] : [{ words: [found.words], bytes: bytesOf(found.settings) }];
  });
  if (single.length > 0) return `It fits with ${single.map(said).join(', or with ')}.`;
  const together = leastOf(settings, savings, { bytesOf, available });
  if (together.words.length === 0)
    return 'No change of workers, batches, lengths or formats makes it smaller; a smaller model does.';
  return together.bytes <= available
    ? `It fits with ${said(together)}.`
    : `The least is ${formatBytes(together.bytes)}, with ${together.words.join(', ')}.`;
}

const said = ({ words, bytes }: Saved): string => `${words.join(', ')} (${formatBytes(bytes)})`;

/** Makes the change that saves most, again and again, until the work fits or nothing saves more. */
function leastOf<Settings>(
  settings: Settings,
  savings: readonly Saving<Settings>[],
  { bytesOf, available }: { bytesOf: (settings: Settings) => number; available: number },
): Saved {
  // A setting may be changed again, once another part is no longer the largest.
  const words = new Map<Saving<Settings>, string>();
  let current = settings;
  let bytes = bytesOf(settings);
  while (bytes > available) {
    const changes = savings.flatMap((saving) => saving(current).map((change) => ({ ...change, saving })));
    const sized = changes.map((change) => ({ ...change, bytes: bytesOf(change.settings) }));
    const [best] = sized.filter((change) => change.bytes < bytes).sort((a, b) => a.bytes - b.bytes);
    if (best === undefined) break;
    // Of changes that suffice, the mildest of the same setting.
    const chosen = sized.find((change) => change.saving === best.saving && change.bytes <= available) ?? best;
    words.set(chosen.saving, chosen.words);
    ({ settings: current, bytes } = chosen);
  }
  return { words: [...words.values()], bytes };
}

/** `least` and the halves of a size that are larger, without the size itself: 8 → 4, 2, 1. */
export function halves(size: number, least = 1): number[] {
  const found: number[] = [];
  for (let half = Math.floor(size / 2); half >= least; half = Math.floor(half / 2)) found.push(half);
  return found;
}
