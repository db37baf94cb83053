// Why a compute process ended or failed: whether memory ran out, and what to do.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { computeFailure, computeLost } from '../../worker/engine/compute-lost.ts';
import { controlGroup } from '../../worker/engine/control-group.ts';
import { SystemFailure } from '../../worker/files/system-failure.ts';

t.test('a process that the kernel killed is distinguished from one that a user killed', async (t) => {
  t.match(computeLost(null, 'SIGKILL', 'limit'), {
    name: 'ComputeLostError',
    message: /killed by the kernel: it is out of memory$/,
    shortage: 'memory',
    exitCode: 71,
    hint: /fedbiot plan/,
  });
  t.match(computeLost(null, 'SIGKILL', 'machine'), {
    message: /killed by the kernel: the machine is out of memory$/,
    shortage: 'machineMemory',
    exitCode: 1,
    hint: /Other programs/,
  });
  t.match(computeLost(null, 'SIGKILL', null), {
    message: 'the compute process was killed by SIGKILL (out of memory?)',
    shortage: 'process',
    hint: /memory/,
  });
  t.match(computeLost(null, 'SIGABRT', null), {
    message: /SIGABRT \(out of memory\?\)/,
    shortage: 'process',
    exitCode: 1,
    hint: /memory/,
  });
  t.match(computeLost(null, 'SIGBUS', 'limit'), { message: /SIGBUS$/, hint: /truncated/ });
  t.match(computeLost(null, 'SIGILL', null), { hint: /processor/ });
  t.match(computeLost(null, 'SIGSEGV', null), { hint: /please report it/ });
  t.match(computeLost(3, null, null), { message: 'the compute process exited with code 3', hint: /--resume/ });
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
      { message: /^the GPU is out of memory: /, shortage: 'gpuMemory', exitCode: 1, hint: /with the provider cuda/ },
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

t.test('limits are read from control groups of both versions', async (t) => {
  const two = t.testdir({
    proc: { self: { cgroup: '0::/kubepods/pod1/c1\n' } },
    sys: {
      fs: {
        cgroup: {
          kubepods: {
            'memory.max': 'max\n',
            pod1: {
              'memory.max': '1073741824\n',
              c1: { 'memory.max': '2147483648\n' },
            },
          },
        },
      },
    },
  });
  t.equal(controlGroup(two).memoryLimit(), 2 ** 30, 'a group around it has less');

  const one = t.testdir({
    proc: { self: { cgroup: '5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n' } },
    sys: {
      fs: {
        cgroup: {
          memory: { 'memory.limit_in_bytes': '536870912\n' },
        },
      },
    },
  });
  t.equal(controlGroup(one).memoryLimit(), 2 ** 29, 'in a container, whose own group is all that is seen');

  const free = t.testdir({
    proc: { self: { cgroup: '4:memory:/\n' } },
    sys: { fs: { cgroup: { memory: { 'memory.limit_in_bytes': '9223372036854771712\n' } } } },
  });
  t.equal(controlGroup(free).memoryLimit(), null, 'no limit');

  t.equal(controlGroup(t.testdir({})).memoryLimit(), null, 'another system');
});

t.test('a kill at the group’s limit is distinguished from one as the machine runs out of memory', async (t) => {
  type Counters = Readonly<Record<string, string>>;
  const told = (cgroup: string, folder: string, before: Counters, after: Counters) => {
    const root = t.testdir({ proc: { self: { cgroup } }, sys: { fs: { cgroup: {} } } });
    mkdirSync(join(root, folder), { recursive: true });
    const write = (files: Counters) => {
      for (const [name, text] of Object.entries(files)) writeFileSync(join(root, folder, name), text);
    };
    write(before);
    const exhausted = controlGroup(root).watchMemoryKills();
    t.equal(exhausted(), null, 'nothing yet');
    write(after);
    return exhausted();
  };
  const two = (oom: number, kills: number, max = 7): Counters => ({
    'memory.events': `low 0\nmax ${max}\noom ${oom}\noom_kill ${kills}\noom_group_kill 0\n`,
  });
  const inTwo = (after: Counters) => told('0::/pod1/c1\n', 'sys/fs/cgroup/pod1/c1', two(4, 3), after);
  t.equal(inTwo(two(5, 4)), 'limit');
  t.equal(inTwo(two(4, 4)), 'machine', 'the killer of the whole machine adds to the group’s kills');
  t.equal(inTwo(two(4, 4, 99)), 'machine', 'pages of files reach the limit all the time');
  t.equal(inTwo(two(5, 3)), null, 'an allocation failed, and nothing was killed');

  const one = (kills: number, hits: number, withSwap = 0): Counters => ({
    'memory.oom_control': `under_oom 0\noom_kill ${kills}\n`,
    'memory.failcnt': `${hits}\n`,
    'memory.memsw.failcnt': `${withSwap}\n`,
  });
  const inOne = (after: Counters) => told('4:memory:/abc\n0::/\n', 'sys/fs/cgroup/memory', one(2, 1), after);
  t.equal(inOne(one(3, 2)), 'limit');
  t.equal(inOne(one(3, 1, 1)), 'limit', 'a runtime may give memory and swap the same limit');
  t.equal(inOne(one(3, 1)), 'machine');

  const free = { vmstat: 'nr_free_pages 1\noom_kill 9\n' };
  t.equal(told('4:memory:/\n', 'proc', free, { vmstat: 'oom_kill 10\n' }), 'machine', 'a group without counters');
  t.equal(told('', 'proc', {}, {}), null, 'another system');
});
