import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { Compute } from '../../worker/engine/compute.ts';
import { Graph } from '../../worker/engine/graph/graph.ts';
import { gemm } from '../../worker/engine/ops/matrix.ts';
import { clientMeter, serverMeter } from '../../worker/run/meters.ts';
import { SharedUse } from '../../worker/run/shared-use.ts';

/** A process whose CPU time and clock the test sets. */
function manualProcess() {
  const now = { cpuSeconds: 100, seconds: 7 };
  const pass = (cpuSeconds: number, seconds: number) => {
    now.cpuSeconds += cpuSeconds;
    now.seconds += seconds;
  };
  return { used: () => ({ ...now }), pass };
}

const INPUT = {
  round: 1,
  client: 0,
  lora: { adapter: new Float32Array(), emulator: new Float32Array() },
  onStep: () => undefined,
  onSweep: () => undefined,
  signal: new AbortController().signal,
};

t.test('concurrent tasks share the usage, and their shares add up to the total', async (t) => {
  const { used, pass } = manualProcess();
  const use = new SharedUse(used);
  pass(50, 50);
  const first = use.begin();
  pass(4, 2);
  const second = use.begin();
  pass(6, 8);
  first.end();
  pass(1, 1);
  first.end();
  second.end();
  pass(9, 9);
  t.same(
    first.share,
    { cpuSeconds: 4 + 3, seconds: 2 + 4 },
    'what was used before it began, or after its end, is not its own',
  );
  t.same(second.share, { cpuSeconds: 3 + 1, seconds: 4 + 1 });
  const third = use.begin();
  pass(2, 2);
  third.end();
  t.same(third.share, { cpuSeconds: 2, seconds: 2 }, 'while nobody is at work, nobody uses anything');
});

t.test('a client has the compute process to itself, and shares the GPU', async (t) => {
  const computeOf = (peakMemoryBytes: number) => {
    let cpuSeconds = 1000;
    return {
      usage: async () => ({ cpuSeconds, peakMemoryBytes }),
      work: (seconds: number) => void (cpuSeconds += seconds),
    };
  };
  const computes = [computeOf(3e12), computeOf(5e12)] as const;
  const { used, pass } = manualProcess();
  const metered = clientMeter({ provider: 'cuda', ownProcess: false }, used);
  const bothBegan = Promise.withResolvers<void>();
  let began = 0;
  const trained = await Promise.all(
    computes.map((compute, i) =>
      metered(
        {
          train: async () => {
            if (++began === 2) {
              pass(6, 2);
              bothBegan.resolve();
            }
            await bothBegan.promise;
            compute.work(10 * (i + 1));
            return { adapter: new Float32Array(), samples: 1, losses: [1], tokens: 5 };
          },
        },
        compute,
      ).train(INPUT),
    ),
  );
  const [first, second] = trained.map(({ use }) => use);
  t.same([first!.cpuSeconds, second!.cpuSeconds], [10 + 3, 20 + 3], 'its own compute process, and half of this one');
  t.same([first!.gpuSeconds, second!.gpuSeconds], [1, 1], 'half of the time that one GPU had for both');
  t.same([first!.peakMemoryBytes, second!.peakMemoryBytes], [3e12, 5e12], 'without the process that both share');
  t.match(trained[0], { samples: 1, tokens: 5 });
});

t.test('a failed training ends its share', async (t) => {
  const compute = { usage: async () => ({ cpuSeconds: 0, peakMemoryBytes: 0 }) };
  const { used, pass } = manualProcess();
  const metered = clientMeter({ provider: 'cuda', ownProcess: false }, used);
  await t.rejects(metered({ train: () => Promise.reject(new Error('no')) }, compute).train(INPUT), { message: 'no' });
  pass(1, 5);
  const train = async () => {
    pass(1, 3);
    return { adapter: new Float32Array(), samples: 1, losses: [1], tokens: 5 };
  };
  const { use } = await metered({ train }, compute).train(INPUT);
  t.equal(use.gpuSeconds, 3, 'the next has the GPU to itself');
});

t.test('the time of a compute process is measured, all its threads together', { timeout: 60_000 }, async (t) => {
  const compute = new Compute({ threads: 2, provider: 'cpu' });
  t.teardown(() => compute.close());
  const meter = serverMeter(compute, { provider: 'cpu', ownProcess: true });
  const [here, alone] = [await meter.read(), await serverMeter(compute, { provider: 'cpu', ownProcess: false }).read()];
  t.ok(here.peakMemoryBytes > alone.peakMemoryBytes + 20e6, 'with the process that leads it');
  t.ok(alone.peakMemoryBytes > 20e6 && alone.peakMemoryBytes < 4e9, `${alone.peakMemoryBytes} bytes`);

  const graph = new Graph();
  const x = graph.input('x', 'float32', [512, 512]);
  graph.output('y', gemm(x, x));
  const session = await compute.load(graph);
  const before = await compute.usage();
  const data = new Float32Array(512 * 512).fill(0.01);
  for (let i = 0; i < 20; i++)
    await session.run({ feeds: { x: { dtype: 'float32', data, shape: [512, 512] } }, fetch: ['y'] });
  const after = await compute.usage();
  const used = after.cpuSeconds - before.cpuSeconds;
  t.ok(used > 0.005 && used < 60, `${used} s for 20 products`);
  t.equal(meter.gpus, 0);
  t.equal(serverMeter(compute, { provider: 'cuda', ownProcess: true }).gpus, 1);
});

const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
const untold = /^VmHWM:/m.test(status)
  ? false
  : 'SKIPPED: no VmHWM in /proc/self/status, which tells a process from the one that started it';

t.test('the memory of the process that started it is not its own', { skip: untold, timeout: 60_000 }, async (t) => {
  const peakOf = async () => {
    const compute = new Compute({ threads: 1, provider: 'cpu' });
    t.teardown(() => compute.close());
    return (await compute.usage()).peakMemoryBytes;
  };
  const before = await peakOf();
  const large = Buffer.alloc(600 * 2 ** 20, 1);
  const grown = (await peakOf()) - before;
  t.ok(grown < large.length / 2, `${grown} bytes more, of a process that has ${large.length} more`);
});
