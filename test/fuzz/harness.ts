import { performance } from 'node:perf_hooks';
import fc from 'fast-check';
import type { Test } from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';

/** What is read from others, and how one of it is tried. */
export interface FuzzSubject<Input> {
  readonly name: string;
  readonly inputs: fc.Arbitrary<Input>;
  /** Reads one. It returns where the input is right, which it may check with an assertion, or throws a UserError. */
  readonly attempt: (input: Input) => unknown;
  /** Inputs in CI: a few seconds' worth. `npm run fuzz -- --n N` tries more. */
  readonly runs: number;
  /** Most of one attempt, ms. */
  readonly limitMs?: number;
  /** Most that the process may grow by, MiB. */
  readonly limitMiB?: number;
}

/** Errors longer than that are no clear refusal. */
const MESSAGE_CHARS = 16_384;

/**
 * Tries many inputs, the same ones each time: each must end in a right result or in a clear refusal, in time and within
 * memory. What fails is shrunk and told with the seed and path that bring it back.
 */
export async function fuzz<Input>(
  t: Test,
  { name, inputs, attempt, runs, limitMs = 2000, limitMiB = 256 }: FuzzSubject<Input>,
): Promise<void> {
  const seed = Number(process.env['FEDBIOT_FUZZ_SEED'] ?? 20_260_101);
  const numRuns = Number(process.env['FEDBIOT_FUZZ_N'] ?? runs);
  const before = peakMiB();
  let refused = 0;
  const property = fc.asyncProperty(inputs, async (input) => {
    const started = performance.now();
    const error = await failure(() => attempt(input));
    const took = performance.now() - started;
    if (error !== null) {
      if (!(error instanceof UserError)) throw error;
      if (error.message.length > MESSAGE_CHARS)
        throw new Error(`a message of ${error.message.length} characters: ${error.message.slice(0, 500)}…`);
      refused++;
    }
    if (took > limitMs)
      throw new Error(
        `it took ${Math.round(took)} ms, more than ${limitMs}${error ? `, to say: ${error.message}` : ''}`,
      );
    const grown = peakMiB() - before;
    if (grown > limitMiB)
      throw new Error(
        `the process grew by ${Math.round(grown)} MiB, more than ${limitMiB}${error ? `, to say: ${error.message}` : ''}`,
      );
  });
  await fc.assert(property, { seed, numRuns, endOnFailure: numRuns > runs });
  t.pass(`${name}: ${numRuns} inputs of seed ${seed}, ${refused} of them refused`);
}

async function failure(run: () => unknown): Promise<Error | null> {
  try {
    await run();
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(`${String(error)} was thrown, which is no Error`);
  }
}

function peakMiB(): number {
  return process.resourceUsage().maxRSS / 1024;
}
