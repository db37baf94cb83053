import t from 'tap';
import { randomStream } from '../../worker/random.ts';

t.test('a stream is named by its seed and labels alone', async (t) => {
  const draw = (...labels: (string | number)[]) => {
    const stream = randomStream(7, ...labels);
    return [stream.uint32(), stream.uniform(), stream.normal(), ...stream.shuffle([1, 2, 3, 4, 5])];
  };
  t.same(draw('sample', 1), draw('sample', 1));
  t.notSame(draw('sample', 1), draw('sample', 2));
  t.notSame(draw('sample', 1), draw('sample', '1'), 'labels keep their type');
});

t.test('uniform and normal have the moments of their distributions', async (t) => {
  const stream = randomStream(1, 'moments');
  const n = 20_000;
  const mean = (xs: number[]) => xs.reduce((a, b) => a + b, 0) / xs.length;
  const uniform = Array.from({ length: n }, stream.uniform);
  const normal = Array.from({ length: n }, stream.normal);
  t.ok(uniform.every((x) => x >= 0 && x < 1));
  t.ok(Math.abs(mean(uniform) - 0.5) < 0.01);
  t.ok(Math.abs(mean(normal)) < 0.03);
  t.ok(Math.abs(mean(normal.map((x) => x * x)) - 1) < 0.05);
});
