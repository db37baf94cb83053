// The loss of SmolLM2-135M with the projections of 29 of its 30 layers in 8 and in 4 bits, and of all in 8.
import { join } from 'node:path';
import t from 'tap';
import { encodeExamples } from '../../worker/data/sequence.ts';
import { loadData } from '../../worker/data/source.ts';
import { applyTemplate } from '../../worker/data/template.ts';
import { float32 } from '../../worker/engine/graph/tensor.ts';
import { matrixProduct } from '../../worker/engine/matrix-product.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import { quantizeAll, quantizeEmulator } from '../../worker/model/quantize.ts';
import type { Rounding } from '../../worker/model/quantize.ts';
import { onPublicData } from '../../worker/run/on-public-data.ts';
import { wholeModel } from '../../worker/run/whole-model.ts';
import { tasks } from '../../worker/tasks/registry.ts';
import { loadTokenizer } from '../../worker/tokenizer/tokenizer.ts';
import { ModelEvaluator } from '../../worker/training/evaluation.ts';
import { testCompute } from '../support/test-compute.ts';

const RECORDS = 16;
const [directory, data] = [process.env['FEDBIOT_TEST_MODEL'], process.env['FEDBIOT_TEST_DATA']];
const skip =
  (!directory || !data) &&
  'NOT CHECKED, that 8 bits keep the loss of a real model: set FEDBIOT_TEST_MODEL (SmolLM2-135M) and FEDBIOT_TEST_DATA';

t.test('SmolLM2-135M in 8 bits', { skip, timeout: 600_000 }, async (t) => {
  const compute = testCompute(2);
  t.teardown(() => compute.close());
  const stored = await openModelDirectory(directory!);
  const tokenizer = await loadTokenizer(stored.path, stored.config);
  const sequences = async (file: string, format: 'GSM8K' | 'Alpaca', count: number, length: number) => {
    const { records } = await loadData({ uri: join(data!, file), format }, '/');
    const examples = applyTemplate(records.slice(0, count), 'Alpaca', tokenizer, { date: null, unused: new Map() });
    return encodeExamples(examples, tokenizer, length).sequences;
  };
  const heldOut = { sequences: await sequences('gsm8k/test.jsonl', 'GSM8K', RECORDS, 512), prompts: [] };
  const publicSequences = await sequences('instructions/train.jsonl', 'Alpaca', 2000, 256);
  const loss = async (model: FederatedModel, trunk: 'teacher' | 'emulator') => {
    const evaluation = { task: 'loss', everyRounds: 1, limit: 0, maxNewTokens: 1, batchSize: 1 } as const;
    const evaluator = await ModelEvaluator.load({
      compute,
      model,
      spec: evaluation,
      task: tasks.loss,
      heldOut,
      tokenizer,
      memoryBytes: 2 ** 28,
    });
    const empty = float32(new Float32Array(0));
    const { loss, labelled } = await evaluator.count(trunk, { adapter: empty, emulator: empty }, AbortSignal.any([]));
    return loss / labelled;
  };
  const whole = wholeModel(stored, null);
  const base = await loss(whole, 'teacher');
  for (const product of new Set([matrixProduct(compute.provider), 'Float32' as const])) {
    const options = { modelSha256: 'test', checkUnchanged: () => {}, held: 'auto', product };
    const { model: quantized } = await quantizeEmulator(whole, 'Int8', t.testdirName, options);
    const change = (await loss(quantized, 'emulator')) - base;
    t.ok(Math.abs(change) < 0.01 && change !== 0, `${product}: ${base} changes by ${change}`);
    const { computed } = await quantizeAll(whole, t.testdirName, options);
    const changeOfAll = (await loss({ ...whole, ...computed }, 'teacher')) - base;
    t.ok(Math.abs(changeOfAll) < 0.01 && changeOfAll !== change, `${product}: all layers change it by ${changeOfAll}`);
  }
  const signal = AbortSignal.any([]);
  const rounded: number[] = [];
  const onRounded = (done: number) => rounded.push(done);
  const { rounding } = onPublicData({ compute, publicSequences, seed: 0, signal, onMeasured: () => {}, onRounded });
  const in4Bits = async (rounding?: Rounding) => {
    const options = {
      modelSha256: 'test',
      checkUnchanged: () => {},
      held: 'auto',
      product: matrixProduct(compute.provider),
    };
    const { model } = await quantizeEmulator(whole, 'Int4', t.testdirName, options, rounding);
    return (await loss(model, 'emulator')) - base;
  };
  const [nearest, gptq] = [await in4Bits(), await in4Bits(rounding(whole))];
  t.ok(gptq > 0 && gptq < 0.75 * nearest, `${base} changes by ${nearest} in 4 bits to nearest, by ${gptq} with GPTQ`);
  t.equal(rounded.length, 29 * 7);
  t.equal(await in4Bits(rounding(whole)), gptq, 'the file is read again');
  t.equal(rounded.length, 29 * 7);
});
