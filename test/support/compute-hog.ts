// A program whose compute process allocates the given number of MiB, and which prints the outcome.
import { Compute } from '../../worker/engine/compute.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import { endingOf } from '../../worker/run/pod/ending.ts';

const compute = new Compute({ threads: 1, provider: 'cpu' });
try {
  const piece = float32(new Float32Array(16 * 2 ** 18).fill(1));
  for (let taken = 0; taken < Number(process.argv[2]); taken += 16) await compute.write(`v${taken}`, piece);
  process.stdout.write('it had enough\n');
} catch (error) {
  const { code, termination } = endingOf(error, new AbortController().signal);
  process.stdout.write(`${termination.reason}: ${termination.message}\n`);
  process.exitCode = code;
} finally {
  compute.close();
}
