import fc from 'fast-check';
import type { Test } from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';

/** A function that reads untrusted input, and inputs for it. */
export interface FuzzSubject<Input> {
  readonly name: string;
  readonly inputs: fc.Arbitrary<Input>;
  /** Reads one input. It returns if the input is valid, which it may check with an assertion, or throws a UserError. */
  readonly attempt: (input: Input) => unknown;
  /** Number of inputs in CI, for a few seconds. `npm run fuzz -- --n N` tries more. */
  readonly runs: number;
  /** Maximum CPU time of this thread for one input, in ms. Unlike wall time, it does not depend on other processes. */
  readonly limitCpuMs?: number;
  /** Maximum growth of the process's peak memory, in MiB. */
  readonly limitMiB?: number;
}

/** A longer error message is not clear. */
const MESSAGE_CHARS = 16_384;

/**
 * Tries many inputs, the same ones in every run. Each must give a correct result or a clear refusal, within limits of
 * CPU time and memory. A failing input is shrunk, and reported with the seed and path that reproduce it.
 */
export async function fuzz<Input>(
  t: Test,
  { name, inputs, attempt, runs, limitCpuMs = 2000, limitMiB = 256 }: FuzzSubject<Input>,
): Promise<void> {
  const seed = Number(process.env['FEDBIOT_FUZZ_SEED'] ?? 20_260_101);
  const numRuns = Number(process.env['FEDBIOT_FUZZ_N'] ?? runs);
  const before = peakMiB();
  let refused = 0;
  const property = fc.asyncProperty(inputs, async (input) => {
    const started = process.threadCpuUsage();
    const error = await failure(() => attempt(input));
    const { user, system } = process.threadCpuUsage(started);
    const cpuMs = (user + system) / 1000;
    if (error !== null) {
      if (!(error instanceof UserError)) throw error;
      if (error.message.length > MESSAGE_CHARS)
        throw new Error(`a message of ${error.message.length} characters: ${error.message.slice(0, 500)}…`);
      refused++;
    }
    if (cpuMs > limitCpuMs)
      throw new Error(
        `it took ${Math.round(cpuMs)} ms of CPU time, more than ${limitCpuMs}${error ? `, to say: ${error.message}` : ''}`,
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
