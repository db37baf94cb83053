import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { splitLayers } from '../../worker/model/split.ts';
import type { SplitRequest } from '../../worker/model/split.ts';

const last: SplitRequest = {
  layers: 30,
  placement: 'Last',
  adapterLayers: 4,
  layerDropRate: 0.5,
  selection: 'Uniform',
};

t.test('uniform drop keeps the layers the reference keeps, for every size and rate', async (t) => {
  // Written by test/oracle/layer_drop.py with Python's own arithmetic.
  const kept: Record<string, (string | null)[]> = JSON.parse(
    readFileSync(new URL('../fixtures/layer-drop.json', import.meta.url), 'utf8'),
  );
  for (const [rate, bySize] of Object.entries(kept)) {
    const wrong: number[] = [];
    bySize.forEach((pattern, i) => {
      const n = i + 1;
      const split = () => splitLayers({ ...last, layers: n + 1, adapterLayers: 1, layerDropRate: Number(rate) });
      if (pattern === null) t.throws(split, UserError, `n = ${n}, β = ${rate}`);
      else if (
        split()
          .teacher.map((layer) => (split().emulator.includes(layer) ? 'x' : '.'))
          .join('') !== pattern
      )
        wrong.push(n);
    });
    t.same(wrong, [], `β = ${rate}`);
  }
});

t.test('SmolLM2 with the reference setting', async (t) => {
  const split = splitLayers(last);
  t.same(split.emulator, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 25]);
  t.same(split.tail, [26, 27, 28, 29]);
  t.same(split.front, []);
});

t.test('Both places adapter layers at each end, and the emulator between them', async (t) => {
  t.same(splitLayers({ ...last, layers: 10, placement: 'Both', adapterLayers: 2 }), {
    front: [0, 1],
    teacher: [2, 3, 4, 5, 6, 7],
    emulator: [2, 4, 7],
    tail: [8, 9],
    dropped: [3, 5, 6],
  });
});

t.test('importance keeps the ends and the most influential, of equals the earlier', async (t) => {
  const by = (importance: number[]) =>
    splitLayers({ ...last, layers: 9, adapterLayers: 1, selection: 'Importance', importance }).emulator;
  t.same(by([0, 0.1, 0.9, 0.2, 0.8, 0.3, 0.4, 0]), [0, 2, 4, 7]);
  t.same(by([9, 1, 1, 1, 1, 1, 1, 9]), [0, 1, 2, 7]);
  t.same(by([0, -3, -2, -1, -3, -3, -3, 0]), [0, 2, 3, 7]);
});

t.test('nothing is dropped at rate 0, and importance is not needed then', async (t) => {
  const split = splitLayers({ ...last, layerDropRate: 0, selection: 'Importance' });
  t.same(split.emulator, split.teacher);
  t.same(split.dropped, []);
});

t.test('every layer has exactly one role, and the emulator spans the teacher part', async () => {
  const request = fc.record({
    layers: fc.integer({ min: 4, max: 128 }),
    placement: fc.constantFrom('Last', 'Both'),
    adapterLayers: fc.integer({ min: 1, max: 8 }),
    layerDropRate: fc.double({ min: 0, max: 0.99, noNaN: true }),
    selection: fc.constantFrom('Uniform', 'Importance'),
  });
  fc.assert(
    fc.property(request, fc.infiniteStream(fc.double({ min: 0, max: 2, noNaN: true })), (request, influence) => {
      const n = request.layers - (request.placement === 'Both' ? 2 : 1) * request.adapterLayers;
      fc.pre(n >= 2 && n * (1 - request.layerDropRate) >= 2);
      const { front, teacher, emulator, tail, dropped } = splitLayers({
        ...request,
        importance: [...influence.take(n)],
      });
      const ascending = (list: readonly number[]) => list.every((x, i) => i === 0 || x > list[i - 1]!);
      return (
        [...front, ...teacher, ...tail].join() === Array.from({ length: request.layers }, (_, i) => i).join() &&
        [...emulator, ...dropped].sort((a, b) => a - b).join() === teacher.join() &&
        ascending(emulator) &&
        emulator[0] === teacher[0] &&
        Math.abs(emulator.length - n * (1 - request.layerDropRate)) <= 0.5 + 1e-9
      );
    }),
  );
});

t.test('a model that cannot be split is refused with a reason', async (t) => {
  const refused: [Partial<SplitRequest>, RegExp][] = [
    [{ adapterLayers: 30 }, /30 adapter layers do not fit: the model has 30 layers/],
    [{ placement: 'Both', adapterLayers: 15 }, /15 adapter layers at each end do not fit: the model has 30/],
    [{ adapterLayers: 0 }, /adapter\.layers is 0/],
    [{ adapterLayers: 1.5 }, /adapter\.layers is 1\.5/],
    [{ layerDropRate: 0.95 }, /left with 1 of 26 layers/],
    [{ adapterLayers: 29, layerDropRate: 0 }, /left with 1 of 1 layers/],
    [{ layerDropRate: 1 }, /layerDropRate is 1/],
    [{ layerDropRate: -0.1 }, /layerDropRate is -0\.1/],
    [{ layerDropRate: NaN }, /layerDropRate is NaN/],
    [{ selection: 'Importance' }, /importance must be 26 finite numbers.*none/],
    [{ selection: 'Importance', importance: [1, 2] }, /importance must be 26 finite numbers.*got 2/],
    [{ selection: 'Importance', importance: Array(26).fill(NaN) }, /finite/],
  ];
  for (const [change, message] of refused) {
    t.throws(() => splitLayers({ ...last, ...change }), { name: 'UserError', message });
  }
});
