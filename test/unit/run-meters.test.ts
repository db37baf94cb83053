import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { Compute } from '../../worker/engine/compute.ts';
import { Graph } from '../../worker/engine/graph/graph.ts';
import { gemm } from '../../worker/engine/ops/matrix.ts';
import { clientMeter, serverMeter } from '../../worker/run/meters.ts';
import { SharedUse } from '../../worker/run/shared-use.ts';

/** A process whose time the test tells. */
function told() {
  const now = { cpuSeconds: 100, seconds: 7 };
  const pass = (cpuSeconds: number, seconds: number) => {
    now.cpuSeconds += cpuSeconds;
    now.seconds += seconds;
  };
  return { use: new SharedUse(() => ({ ...now })), pass };
}

t.test('tasks that are under way at once share what is used, and their shares add up to it', async (t) => {
  const { use, pass } = told();
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
  const metered = clientMeter({ provider: 'cuda', ownProcess: false });
  const input = {
    round: 1,
    client: 0,
    lora: { adapter: new Float32Array(), emulator: new Float32Array() },
    onStep: () => undefined,
    signal: new AbortController().signal,
  };
  const began = performance.now();
  const trained = await Promise.all(
    computes.map((compute, i) =>
      metered(
        {
          train: async () => {
            await delay(200);
            compute.work(10 * (i + 1));
            return { adapter: new Float32Array(), samples: 1, losses: [1], tokens: 5 };
          },
        },
        compute,
      ).train(input),
    ),
  );
  const wall = (performance.now() - began) / 1000;
  const [first, second] = trained.map(({ use }) => use);
  t.ok(first!.cpuSeconds >= 10 && first!.cpuSeconds < 11, `${first!.cpuSeconds} s`);
  t.ok(second!.cpuSeconds >= 20 && second!.cpuSeconds < 21, `${second!.cpuSeconds} s`);
  const gpu = first!.gpuSeconds + second!.gpuSeconds;
  t.ok(gpu > 0.15 && gpu <= wall, `${gpu} s of one GPU in ${wall} s`);
  t.same([first!.peakMemoryBytes, second!.peakMemoryBytes], [3e12, 5e12], 'without the process that both share');
  t.match(trained[0], { samples: 1, tokens: 5 });
});

t.test('who fails to train ends its share', async (t) => {
  const compute = { usage: async () => ({ cpuSeconds: 0, peakMemoryBytes: 0 }) };
  const metered = clientMeter({ provider: 'cuda', ownProcess: false });
  const input = {
    round: 1,
    client: 0,
    lora: { adapter: new Float32Array(), emulator: new Float32Array() },
    onStep: () => undefined,
    signal: new AbortController().signal,
  };
  await t.rejects(metered({ train: () => Promise.reject(new Error('no')) }, compute).train(input), { message: 'no' });
  await delay(100);
  const began = performance.now();
  const train = () => delay(50, { adapter: new Float32Array(), samples: 1, losses: [1], tokens: 5 });
  const { use } = await metered({ train }, compute).train(input);
  const wall = (performance.now() - began) / 1000;
  t.ok(use.gpuSeconds > 0.8 * wall, `${use.gpuSeconds} of ${wall} s are its own`);
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
