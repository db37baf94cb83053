import { collate } from '../data/batch.ts';
import { float32 } from '../engine/graph/tensor.ts';
import { factorMoments, freeFactor } from '../gptq/factor.ts';
import { Products } from '../gptq/products.ts';
import { roundMatrix } from '../gptq/round-matrix.ts';
import { packSequences } from '../inference/packs.ts';
import { placeFeeds, tokenIds } from '../model/batch-feeds.ts';
import { projectionInputsProgram } from '../model/programs/projection-inputs.ts';
import { embed } from '../model/weights/embedding.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';
import { randomStream } from '../random.ts';
import { layerPass, shapeOf } from './flops.ts';
import { reduced, sizeOf } from './job-sample.ts';
import type { JobSample } from './job-sample.ts';
import type { Measured } from './measured-miniature.ts';
import { columnProducts } from './rounding-work.ts';
import { secondsOf } from './seconds-of.ts';

/** Texts that are passed through a layer, and the most tokens of each. */
const TEXTS = 8;
const TOKENS = 512;

/** Outputs and inputs of a matrix that is rounded in a tenth of a second, mostly beside its products. */
const MATRIX = [1024, 512] as const;

/**
 * Measures how fast this machine rounds to 4 bits: the FLOP/s of a layer's passes, and the weights per second beside
 * the products. The miniature's weights are zero, and zeros have no grid to search: a random matrix is rounded instead.
 */
export async function roundingSpeeds(
  measured: Measured,
  sample: JobSample,
): Promise<Record<'calibration' | 'rounding', number>> {
  const calibration = await calibrationSpeed(measured, sample);
  const { compute } = measured;
  const products = new Products(compute);
  const random = randomStream(0, 'rounding');
  const normal = (size: number) => Float32Array.from({ length: size }, () => random.normal());
  const [outputs, inputs] = MATRIX;
  const weights = normal(outputs * inputs);
  const rows = 'rounding.rows';
  await compute.write(rows, float32(normal(inputs * inputs), [inputs, inputs]));
  const factor = await factorMoments(products, [{ variable: rows, rows: inputs }]);
  if (factor === null) throw new Error('the moments of random rows are not finite');
  const seconds = await secondsOf(() => roundMatrix(products, [weights], outputs, factor));
  await freeFactor(products, factor);
  await products.release();
  const beside = Math.max(seconds - columnProducts(outputs, inputs) / calibration, seconds / 2);
  return { calibration, rounding: weights.length / beside };
}

async function calibrationSpeed({ compute, model, spec }: Measured, sample: JobSample): Promise<number> {
  const { quantized: _, ...stored } = model;
  const texts = reduced(sample.public.slice(0, TEXTS), { vocabulary: model.config.vocabSize, tokens: TOKENS });
  const graph = projectionInputsProgram(stored, model.split.emulator[0]!, compute.provider);
  const session = await compute.load(graph, weightFolder(stored));
  const keep = Object.fromEntries(graph.outputs.map(({ name }) => [name, `calibration.${name}`]));
  const passes = packSequences(texts).map((pack) => {
    const batch = collate(pack, 0);
    return { feeds: { ...placeFeeds(batch), hidden: embed(model.weights, tokenIds(batch)) }, fetch: [], keep };
  });
  const seconds = await secondsOf(async () => {
    for (const pass of passes) await session.run(pass);
  });
  await session.release();
  await compute.free(...Object.values(keep));
  return layerPass(shapeOf(model, spec), texts.map(sizeOf)) / seconds;
}
