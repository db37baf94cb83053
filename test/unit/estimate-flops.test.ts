import t from 'tap';
import { parseDecoderConfig } from '../../worker/model/config/config.ts';
import { alignmentStep, clientStep, emulatorStates, teacherStates, tokenFlops } from '../../worker/estimate/flops.ts';
import type { Shape } from '../../worker/estimate/flops.ts';
import { columnProducts, roundedWeights, roundingProducts } from '../../worker/estimate/rounding-work.ts';

/*
 * By hand, for hidden size 6, inner size 10, 3 heads of 2, one of keys and values, 8 words:
 *   q 6·6, k and v 2·6 each: q+k+v 60;  o 6·6, gate, up and down 10·6 each: 216;  P = 276
 *   LoRA of rank 2 on q and v:  2·(6+6) + 2·(2+6) = 40;  of rank 1 on down:  16
 *   h·d = 6, V·D = 48
 */
const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 6,
  intermediate_size: 10,
  num_hidden_layers: 7,
  num_attention_heads: 3,
  num_key_value_heads: 1,
  max_position_embeddings: 16,
  vocab_size: 8,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
  hidden_act: 'silu',
  bos_token_id: null,
  eos_token_id: 1,
};
const shape: Shape = {
  config: parseDecoderConfig(config, 'config.json'),
  adapterLora: { rank: 2, targets: ['q_proj', 'v_proj'] },
  emulatorLora: { rank: 1, targets: ['down_proj'] },
  teacherLayers: 5,
  emulatorLayers: 3,
  frontLayers: 0,
  tailLayers: 2,
};
const NEITHER = { klWeight: 0, languageModelWeight: 0 };
const P = 276;

t.test('steps, against figures by hand', async (t) => {
  const sequences = [{ tokens: 4, labelled: 1 }];
  // A layer on 4 tokens: forward 2·276·4 + 4·16·6, backward 2·276·4 + 8·16·6, and the LoRA.
  const plain = 2208 + 384;
  const back = 2208 + 768;
  t.equal(teacherStates(shape, sequences), 5 * plain);
  t.equal(emulatorStates(shape, sequences), 3 * (plain + 2 * 16 * 4));
  const student = 3 * (plain + 2 * 16 * 4 + back + 4 * 16 * 4);
  t.equal(alignmentStep(shape, sequences, NEITHER), student);
  const [across, resting] = [plain + 2 * 40 * 4, back + 2 * 40 * 4];
  t.equal(
    alignmentStep(shape, sequences, { klWeight: 1, languageModelWeight: 0 }),
    student + 2 * (2 * across + resting) + 3 * 96 * 4,
  );
  t.equal(
    alignmentStep(shape, sequences, { klWeight: 0, languageModelWeight: 1 }),
    student + 2 * (across + resting) + 2 * 96,
  );
  // Three rows of the last layer's projections after the attention are not read; q, k and v of the first need no
  // gradient of their input.
  t.equal(clientStep(shape, sequences), 2 * (across + back + 4 * 40 * 4) - 4 * 216 * 3 - 2 * 60 * 4 + 2 * 96);
});

t.test('a token, with the adapter last', async (t) => {
  // Attention of a token to itself: 4·6 forward, 8·6 backward.
  const adapter = 2 * (2 * P + 2 * 40 + 24 + 2 * P + 4 * 40 + 48) - 2 * 60 + 2 * 96;
  const trunk = 2 * P + 2 * 16 + 24;
  t.same(tokenFlops(shape, NEITHER), {
    clientToken: adapter + 3 * trunk,
    fullModelToken: adapter + 5 * trunk,
    alignmentToken: 3 * (trunk + 2 * P + 4 * 16 + 48) + 5 * (2 * P + 24),
  });
});

t.test('a token, with the adapter at both ends: the gradient crosses what lies between', async (t) => {
  const both = { ...shape, frontLayers: 2 };
  const forward = 2 * P + 2 * 40 + 24;
  const adapter = 4 * (forward + 2 * P + 4 * 40 + 48) - 2 * 60 + 2 * 96;
  const trunk = 2 * P + 2 * 16 + 24 + 2 * P + 2 * 16 + 48;
  const { clientToken, fullModelToken, alignmentToken } = tokenFlops(both, NEITHER);
  t.same([clientToken, fullModelToken], [adapter + 3 * trunk, adapter + 5 * trunk]);
  t.equal(
    alignmentToken - tokenFlops(shape, NEITHER).alignmentToken,
    2 * forward,
    'the teacher continues from the adapter’s front layers',
  );
});

t.test('with no layer dropped a token takes what it takes in the full model', async (t) => {
  const { clientToken, fullModelToken } = tokenFlops({ ...shape, emulatorLayers: 5 }, NEITHER);
  t.equal(clientToken, fullModelToken);
});

t.test('the products of a rounding: the shapes of what GPTQ multiplies, panel by panel', async (t) => {
  const products = (inputs: number, outputs: readonly number[], tokens: number) => {
    const panels = inputs / 256;
    let sum = 0;
    for (let panel = 0; panel < panels; panel++) {
      const end = 256 * (panel + 1);
      // A panel of the moments, what later panels take off it, and the solution.
      sum += 2 * 256 * end * tokens + (panels - 1 - panel) * 2 * 256 * end * 256 + 2 * 256 * 256 * (end - 256);
      // Errors of earlier panels, and of three blocks of this one.
      for (const rows of outputs) sum += 2 * rows * 256 * 256 * panel + 3 * 2 * rows * 64 * 256;
    }
    return sum;
  };
  const wide = parseDecoderConfig({ ...config, hidden_size: 1536, intermediate_size: 4096 }, 'config.json');
  const { headDim } = wide;
  const [queries, keys] = [3 * headDim, headDim];
  const tokens = 3000;
  const counted =
    products(1536, [queries, keys, keys], tokens) +
    products(queries, [1536], tokens) +
    products(1536, [4096, 4096], tokens) +
    products(4096, [1536], tokens);
  t.equal(queries, 1536);
  const ratio = roundingProducts(wide, tokens) / counted;
  t.ok(ratio > 0.98 && ratio < 1.02, `${ratio} of the products`);
  t.equal(columnProducts(100, 512), 100 * 512 * 640);
  t.equal(roundedWeights(shape.config), P);
});
