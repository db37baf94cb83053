// A pod's program whose compute process allocates the given number of MiB, while its plan says 2 GiB, and which prints
// the outcome.
import { Compute } from '../../worker/engine/compute.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import { podMemoryInWords, toldWithPlan } from '../../worker/estimate/memory-check.ts';
import { endingOf } from '../../worker/run/pod/ending.ts';

const compute = new Compute({ threads: 1, provider: 'cpu' });
const planned = { what: 'this server pod', needed: { total: 2 ** 31, filePages: 0 } };
try {
  await toldWithPlan(planned, podMemoryInWords(), async () => {
    const piece = float32(new Float32Array(16 * 2 ** 18).fill(1));
    for (let taken = 0; taken < Number(process.argv[2]); taken += 16) await compute.write(`v${taken}`, piece);
  });
  process.stdout.write('it had enough\n');
} catch (error) {
  const { code, termination } = endingOf(error, new AbortController().signal);
  process.stdout.write(`${termination.reason}: ${termination.message}\n`);
  process.exitCode = code;
} finally {
  compute.close();
}
