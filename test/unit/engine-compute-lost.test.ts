// Why a compute process ended or failed: whether memory ran out, and what to do.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { computeFailure, computeLost } from '../../worker/engine/compute-lost.ts';
import { controlGroup } from '../../worker/engine/control-group.ts';
import { SystemFailure } from '../../worker/files/system-failure.ts';

t.test('a process that the kernel killed is distinguished from one that a user killed', async (t) => {
  t.match(computeLost(null, 'SIGKILL', true), {
    name: 'ComputeLostError',
    message: /killed by the kernel: it is out of memory$/,
    shortage: 'memory',
    hint: /fedbiot plan/,
  });
  t.match(computeLost(null, 'SIGKILL', false), {
    message: 'the compute process was killed by SIGKILL (out of memory?)',
    shortage: 'process',
    hint: /memory/,
  });
  t.match(computeLost(null, 'SIGABRT', false), {
    message: /SIGABRT \(out of memory\?\)/,
    shortage: 'memory',
    hint: /memory/,
  });
  t.match(computeLost(null, 'SIGBUS', true), { message: /SIGBUS$/, hint: /truncated/ });
  t.match(computeLost(null, 'SIGILL', false), { hint: /processor/ });
  t.match(computeLost(null, 'SIGSEGV', false), { hint: /please report it/ });
  t.match(computeLost(3, null, false), { message: 'the compute process exited with code 3', hint: /--resume/ });
});

t.test('error messages of onnxruntime, CUDA and Node when memory runs out', async (t) => {
  const words = [
    'std::bad_alloc',
    'Non-zero status code returned while running MatMul node. Status Message: bad_alloc',
    'Failed to allocate memory for requested buffer of size 17179869184',
    'Available memory of 1024 is smaller than requested bytes of 4096',
    'Array buffer allocation failed',
  ];
  for (const message of words)
    t.match(
      computeFailure(message),
      { message: /^the compute process is out of memory: /, shortage: 'memory', hint: /smaller batches/ },
      message,
    );
  const gpu = [
    'CUDA failure 2: out of memory ; GPU=0',
    'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED',
    '/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 8',
  ];
  for (const message of gpu)
    t.match(
      computeFailure(message),
      { message: /^the GPU is out of memory: /, shortage: 'gpuMemory', exitCode: 71, hint: /gpus\.md/ },
      message,
    );
  t.notOk(computeFailure('no variable lora') instanceof SystemFailure, 'a mistake of ours stays one');
});

t.test('a GPU without code in the CUDA provider is named, with the list of those that have some', async (t) => {
  const words = [
    // As onnxruntime reports it, of a kernel of its own and of a call of a library.
    "Non-zero status code returned while running Add node. Name:'Add_15' Status Message: CUDA error cudaErrorNoKernelImageForDevice:no kernel image is available for execution on the device",
    'CUDA failure 209: no kernel image is available for execution on the device ; GPU=0 ; hostname=node ; file=/onnxruntime/core/providers/cuda/cuda_kernel.h ; line=1 ; expr=cudaGetLastError();',
  ];
  for (const message of words) {
    const failure = computeFailure(message);
    t.match(failure, { name: 'UserError', message: /contains no code for this GPU: .*no kernel image/ }, message);
    const hint = failure instanceof UserError ? failure.hint : undefined;
    t.match(hint, /Supported GPUs.* docs\/engine\.md.*--provider cpu/);
  }
  const document = readFileSync(new URL('../../docs/engine.md', import.meta.url), 'utf8');
  t.match(document, '**Supported GPUs.**', 'the list that the hint names');
});

t.test('limits and kills are read from control groups of both versions', async (t) => {
  const two = t.testdir({
    proc: { self: { cgroup: '0::/kubepods/pod1/c1\n' }, vmstat: 'oom_kill 9\n' },
    sys: {
      fs: {
        cgroup: {
          kubepods: {
            'memory.max': 'max\n',
            pod1: {
              'memory.max': '1073741824\n',
              c1: { 'memory.max': '2147483648\n', 'memory.events': 'oom 4\noom_kill 3\n' },
            },
          },
        },
      },
    },
  });
  t.equal(controlGroup(two).memoryLimit(), 2 ** 30, 'a group around it has less');
  t.equal(controlGroup(two).memoryKills(), 3);

  const one = t.testdir({
    proc: { self: { cgroup: '5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n' }, vmstat: 'oom_kill 9\n' },
    sys: {
      fs: {
        cgroup: {
          memory: { 'memory.limit_in_bytes': '536870912\n', 'memory.oom_control': 'under_oom 0\noom_kill 2\n' },
        },
      },
    },
  });
  t.equal(controlGroup(one).memoryLimit(), 2 ** 29, 'in a container, whose own group is all that is seen');
  t.equal(controlGroup(one).memoryKills(), 2);

  const free = t.testdir({
    proc: { self: { cgroup: '4:memory:/\n' }, vmstat: 'nr_free_pages 1\noom_kill 9\n' },
    sys: { fs: { cgroup: { memory: { 'memory.limit_in_bytes': '9223372036854771712\n' } } } },
  });
  t.equal(controlGroup(free).memoryLimit(), null, 'no limit');
  t.equal(controlGroup(free).memoryKills(), 9, 'the machine counts');

  t.same(
    [controlGroup(t.testdir({})).memoryLimit(), controlGroup(t.testdir({})).memoryKills()],
    [null, null],
    'another system',
  );
});
