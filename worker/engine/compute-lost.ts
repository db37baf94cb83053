import { UserError } from '../../crds/facts/user-error.ts';
import { SystemFailure } from '../files/system-failure.ts';
import type { Shortage } from '../files/system-failure.ts';
import type { Exhausted } from './control-group.ts';

const LESS_MEMORY =
  'Use shorter sequences, smaller batches or fewer compute processes; `fedbiot plan` shows how much a job needs. Continue the run with --resume.';

const LESS_GPU_MEMORY =
  'Use shorter sequences, smaller batches or fewer compute processes on this GPU, or one with more memory; `fedbiot plan` with the provider cuda estimates what each role needs. Continue the run with --resume.';

/** The compute process has exited or was killed. */
export class ComputeLostError extends SystemFailure {
  override readonly name = 'ComputeLostError';

  constructor(message: string, { shortage = 'process', hint }: { shortage?: Shortage; hint?: string } = {}) {
    super(shortage, message, hint === undefined ? {} : { hint });
  }
}

const HINTS: Readonly<Record<string, string>> = {
  SIGKILL: `Usually the kernel does this when it is out of memory. ${LESS_MEMORY}`,
  SIGABRT: `It was out of memory, or found a defect: the lines above say which. ${LESS_MEMORY}`,
  SIGBUS:
    'A memory-mapped file was truncated, or its disk failed: check the model’s files, and run again with --resume.',
  SIGILL: 'This build of onnxruntime needs instructions that this processor does not have.',
};
const CRASH = 'Continue the run with --resume. If it happens again, please report it with the lines above.';

/**
 * The reason why a compute process ended.
 * @param exhausted whose memory ran out, if the kernel has killed a process for lack of it since this one started
 */
export function computeLost(
  code: number | null,
  signal: NodeJS.Signals | null,
  exhausted: Exhausted | null,
): ComputeLostError {
  if (signal === 'SIGKILL' && exhausted !== null) return killedByKernel(exhausted);
  const how =
    signal === null
      ? `exited with code ${code}`
      : `was killed by ${signal}${signal === 'SIGKILL' || signal === 'SIGABRT' ? ' (out of memory?)' : ''}`;
  // V8 and the C++ library abort when an allocation fails, and for defects as well: that alone says nothing of memory.
  return new ComputeLostError(`the compute process ${how}`, { hint: HINTS[signal ?? ''] ?? CRASH });
}

const killedByKernel = (exhausted: Exhausted): ComputeLostError =>
  exhausted === 'limit'
    ? new ComputeLostError('the compute process was killed by the kernel: it is out of memory', {
        shortage: 'memory',
        hint: LESS_MEMORY,
      })
    : new ComputeLostError('the compute process was killed by the kernel: the machine is out of memory', {
        shortage: 'machineMemory',
        hint: `Other programs may have used it. ${LESS_MEMORY}`,
      });

/** How onnxruntime, CUDA and Node report a failed allocation. */
const NO_MEMORY =
  /bad_alloc|failed to allocate memory|is smaller than requested bytes|array buffer allocation failed|cannot allocate memory|out of memory|CUDA failure 2\b|_ALLOC_FAILED/i;
const OF_GPU = /CUDA|CUBLAS|CUDNN|BFCArena/;

/** How onnxruntime reports CUDA's error 209, a GPU for which its provider contains no code. */
const NO_KERNEL = /cudaErrorNoKernelImageForDevice|no kernel image is available|CUDA failure 209\b/i;

/** The error for a failed request to a compute process. */
export function computeFailure(message: string): Error {
  const [first = ''] = message.split('\n');
  if (NO_KERNEL.test(message)) {
    return new UserError(`onnxruntime’s CUDA provider contains no code for this GPU: ${first}`, {
      hint: 'It supports the compute capabilities under “Supported GPUs” in docs/engine.md; `nvidia-smi --query-gpu=name,compute_cap --format=csv` prints this GPU’s. Use another GPU, or --provider cpu.',
    });
  }
  if (!NO_MEMORY.test(message)) return new Error(message);
  return OF_GPU.test(message)
    ? new SystemFailure('gpuMemory', `the GPU is out of memory: ${first}`, { hint: LESS_GPU_MEMORY })
    : new SystemFailure('memory', `the compute process is out of memory: ${first}`, { hint: LESS_MEMORY });
}
