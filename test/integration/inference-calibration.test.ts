// What the projections of a tiny model read, compared with the states between its layers.
import t from 'tap';
import { calibrate } from '../../worker/inference/calibration.ts';
import { placeFeeds, tokenIds } from '../../worker/model/batch-feeds.ts';
import { layerWeight } from '../../worker/model/config/tensors.ts';
import { inputGroups } from '../../worker/model/config/projections.ts';
import { embed } from '../../worker/model/weights/embedding.ts';
import { hiddenAfter, hiddenStatesProgram } from '../../worker/model/programs/hidden-states.ts';
import { readTensor } from '../../worker/safetensors/safetensors.ts';
import { wholeModel } from '../../worker/run/whole-model.ts';
import { familyFolder, openFamily } from '../support/family.ts';
import { maxError, numbers } from '../support/fixture-tensors.ts';
import { runProgram } from '../support/run-program.ts';
import { testCompute } from '../support/test-compute.ts';

const compute = testCompute();
t.teardown(() => compute.close());
const { batch, model: modelOf } = await openFamily(familyFolder('qwen2'));
const { config, weights } = modelOf({ front: [], teacher: [], emulator: [], tail: [], dropped: [] });
const model = wholeModel({ config, weights }, null);
const width = config.hiddenSize;

const normalised = (row: readonly number[], length: number) => row.map((x) => x / length);

/** RMSNorm of each row, scaled to length 1. */
function unitRows(states: readonly number[], norm: readonly number[]): number[] {
  return Array.from({ length: states.length / width }, (_, i) => states.slice(i * width, (i + 1) * width)).flatMap(
    (row) => {
      const weighted = row.map((x, i) => x * norm[i]!);
      return normalised(weighted, Math.hypot(...weighted));
    },
  );
}

t.test('each layer yields the rows that its projections read, scaled to length 1', async (t) => {
  const states = await runProgram(compute, model, hiddenStatesProgram(model, 'teacher', [0], compute.provider), {
    hidden: embed(weights, tokenIds(batch)),
    ...placeFeeds(batch),
  });
  const norm = weights.get(layerWeight(1, 'input_layernorm'))!;
  const expected = unitRows(numbers(states[hiddenAfter(0)]!), [...readTensor(norm.file, norm)]);
  const layers: number[] = [];
  for await (const { layer, inputs } of calibrate(compute, model, [1], [batch, batch], { wanted: [1], from: null })) {
    layers.push(layer);
    t.equal(inputs.length, inputGroups(config).length);
    for (const [i, group] of inputGroups(config).entries()) {
      const read = await Promise.all(inputs[i]!.map((variable) => compute.read(variable)));
      t.equal(read.length, 2, 'one part for each batch');
      t.same(read[0]!.shape, [batch.tokens, group[0]!.in]);
      t.strictSame(read[1], read[0]);
      const rows = numbers(read[0]!);
      for (let row = 0; row < batch.tokens; row++) {
        const length = Math.hypot(...rows.slice(row * group[0]!.in, (row + 1) * group[0]!.in));
        t.ok(Math.abs(length - 1) < 1e-5, `row ${row} of ${group[0]!.input} has length ${length}`);
      }
      if (group[0]!.input === 'attention') t.ok(maxError(rows, expected) < 1e-5);
    }
  }
  t.same(layers, [1]);
});

t.test('an abort ends the calibration before the next batch', async (t) => {
  const stop = new AbortController();
  const options = { wanted: [0, 1], from: null, signal: stop.signal };
  const calibration = calibrate(compute, model, [0, 1], [batch], options);
  t.equal((await calibration.next()).done, false);
  stop.abort(new Error('enough'));
  await t.rejects(calibration.next(), { message: 'enough' });
});
