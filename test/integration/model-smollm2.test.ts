// The real SmolLM2-135M compared with transformers (test/oracle/smollm2.py): losses, logits, generation.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { float32, int32 } from '../../worker/engine/graph/tensor.ts';
import type { Tensor } from '../../worker/engine/graph/tensor.ts';
import { joinStates, labelFeeds, placeFeeds, tokenIds } from '../../worker/model/batch-feeds.ts';
import type { TokenBatch } from '../../worker/model/batch-feeds.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { embed } from '../../worker/model/weights/embedding.ts';
import type { FederatedModel } from '../../worker/model/federated-model.ts';
import { Generator } from '../../worker/inference/generator.ts';
import { loraLayout } from '../../worker/model/lora/layout.ts';
import { scoringProgram } from '../../worker/model/programs/scoring.ts';
import { splitLayers } from '../../worker/model/split.ts';
import { loadTrunk } from '../../worker/inference/trunk-runner.ts';
import { maxError, numbers } from '../support/fixture-tensors.ts';
import { logitsProgram, runProgram } from '../support/run-program.ts';
import { testCompute } from '../support/test-compute.ts';

const directory = process.env['FEDBIOT_TEST_MODEL'];
const skip =
  !directory &&
  'NOT CHECKED, that a real model computes what transformers computes: set FEDBIOT_TEST_MODEL (a SmolLM2-135M directory)';
const TOLERANCE = 1e-3;

interface Expected {
  readonly logitStride: number;
  readonly texts: readonly {
    readonly text: string;
    readonly ids: readonly number[];
    readonly nll: readonly number[];
    readonly lastLogits: readonly number[];
    readonly continuation: readonly number[];
  }[];
}

t.test('SmolLM2-135M', { skip }, async (t) => {
  const { logitStride, texts }: Expected = JSON.parse(
    readFileSync(new URL('../fixtures/smollm2.json', import.meta.url), 'utf8'),
  );
  const model = await openModel(directory!);
  const batch = batchOf(texts.map(({ ids }) => ids));
  const compute = testCompute(2);
  t.teardown(() => compute.close());
  const adapter = float32(new Float32Array(model.adapter.layout.size));
  const places = placeFeeds(batch);

  t.test('loss of every token, through the stages of an evaluation', async (t) => {
    const runner = await loadTrunk(compute, model, 'teacher', model.split.teacher.slice(-1));
    const [states] = await runner.runAll(
      [texts.map(({ text, ids }) => ({ id: text, inputIds: Int32Array.from(ids) }))],
      {},
    );
    const hidden = joinStates(
      states!.map(([last]) => last!),
      model.config.hiddenSize,
    );
    const { labelledRows, labels } = labelFeeds(batch);
    const { nll } = await runProgram(compute, model, scoringProgram(model, compute.provider), {
      ...places,
      hidden,
      adapter,
      labelledRows,
      labels,
    });
    const error = maxError(
      numbers(nll!),
      texts.flatMap(({ nll }) => nll),
    );
    t.ok(error < TOLERANCE, `greatest error ${error}`);
  });

  t.test('logits of the next token', async (t) => {
    const rows = int32(batch.lengths.map((_, row) => batch.lengths.slice(0, row + 1).reduce((a, b) => a + b) - 1));
    const { logits } = await runProgram(compute, model, logitsProgram(model), {
      hidden: embed(model.weights, tokenIds(batch)),
      ...places,
      adapter,
      rows,
    });
    texts.forEach(({ text, lastLogits }, row) => {
      const error = maxError(everyNth(logits!, row, logitStride), lastLogits);
      t.ok(error < TOLERANCE, `${text}: greatest error ${error}`);
    });
  });

  t.test('greedy continuations', async (t) => {
    const generator = await Generator.load(compute, model, 'teacher');
    const limits = { maxNewTokens: texts[0]!.continuation.length, stopTokenIds: [] };
    const found = await generator.generate(
      texts.map(({ ids }) => ids),
      limits,
      { adapter },
    );
    t.same(
      found,
      texts.map(({ continuation }) => continuation),
    );
  });
});

async function openModel(uri: string): Promise<FederatedModel> {
  const { config, weights } = await openModelDirectory(uri);
  const { layers } = config;
  const split = splitLayers({ layers, placement: 'Last', adapterLayers: 4, layerDropRate: 0, selection: 'Uniform' });
  const part = (of: readonly number[]) => ({
    layout: loraLayout(config, of, { rank: 8, targets: ['q_proj', 'v_proj'] }),
    scale: 2,
    dropout: 0,
  });
  return { config, weights, split, adapter: part(split.tail), emulator: part(split.emulator) };
}

/** Texts side by side; all tokens except the first are labelled. */
function batchOf(texts: readonly (readonly number[])[]): TokenBatch {
  const lengths = Int32Array.from(texts, ({ length }) => length);
  const length = Math.max(...lengths);
  const inputIds = new Int32Array(texts.length * length);
  const labels = new Int32Array(texts.length * length).fill(-100);
  texts.forEach((ids, row) => [inputIds, labels].forEach((into) => into.set(ids, row * length)));
  return { rows: texts.length, length, inputIds, labels, lengths, tokens: lengths.reduce((a, b) => a + b, 0) };
}

function everyNth(logits: Tensor, row: number, stride: number): number[] {
  const width = logits.shape[1]!;
  return numbers(logits)
    .slice(row * width, (row + 1) * width)
    .filter((_, i) => i % stride === 0);
}
