import type { Compute, Session } from '../engine/compute.ts';
import { float32, int32 } from '../engine/graph/tensor.ts';
import type { Tensor } from '../engine/graph/tensor.ts';
import { embed } from '../model/weights/embedding.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { PADDING_POSITION } from '../model/decoder/positions.ts';
import { cacheNames, decodedLayers, decodedTerms, decodingProgram, termsProgram } from '../model/programs/decoding.ts';
import type { Trunk } from '../model/programs/hidden-states.ts';
import { weightFolder } from '../model/weights/stored-weights.ts';
import type { TrunkVectors } from './trunk-runner.ts';

export interface GenerationLimits {
  readonly maxNewTokens: number;
  /** Ids that end a text. */
  readonly stopTokenIds: readonly number[];
}

/** Greedy decoding of a batch of prompts. The cache of keys and values stays in the compute process. */
export class Generator {
  readonly #compute: Compute;
  readonly #session: Session;
  readonly #model: FederatedModel;
  readonly #caches: readonly { past: string; present: string; variable: string }[];
  /** Variables by the inputs that they are. */
  readonly #terms: Readonly<Record<string, string>>;

  private constructor(
    compute: Compute,
    session: Session,
    model: FederatedModel,
    trunk: Trunk,
    terms: Readonly<Record<string, string>>,
  ) {
    this.#compute = compute;
    this.#session = session;
    this.#model = model;
    this.#terms = terms;
    this.#caches = decodedLayers(model, trunk).flatMap((layer) => {
      const { past, present } = cacheNames(layer);
      return past.map((name, i) => ({ past: name, present: present[i]!, variable: `generator.${name}` }));
    });
  }

  static async load(compute: Compute, model: FederatedModel, trunk: Trunk): Promise<Generator> {
    const terms = await computeTerms(compute, model, trunk);
    const session = await compute.load(decodingProgram(model, trunk), weightFolder(model));
    return new Generator(compute, session, model, trunk, terms);
  }

  /** Continues each prompt (token ids, at least one) until a stop token, which is left out, or the limit. */
  async generate(
    prompts: readonly (readonly number[])[],
    { maxNewTokens, stopTokenIds }: GenerationLimits,
    vectors: TrunkVectors,
  ): Promise<number[][]> {
    const written: number[][] = prompts.map(() => []);
    const finished = prompts.map(() => false);
    const longest = Math.max(...prompts.map(({ length }) => length));
    const { keyValueHeads, headDim } = this.#model.config;
    const empty = float32(new Float32Array(0), [prompts.length, keyValueHeads, 0, headDim]);

    let step = promptStep(prompts, longest);
    let past: Record<string, Tensor | string> = Object.fromEntries(this.#caches.map(({ past }) => [past, empty]));
    const keys = prompts.map((prompt) =>
      Array.from({ length: longest }, (_, i) => (i < prompt.length ? i : PADDING_POSITION)),
    );
    for (let produced = 0; produced < maxNewTokens; produced++) {
      const keyPositions = float32(Float32Array.from(keys.flat()), [prompts.length, keys[0]!.length]);
      const { outputs } = await this.#session.run({
        feeds: {
          hidden: embed(this.#model.weights, step.ids),
          ...step.places,
          ...past,
          ...this.#terms,
          ...vectors,
          keyPositions,
        },
        fetch: ['next'],
        keep: Object.fromEntries(this.#caches.map(({ present, variable }) => [present, variable])),
      });
      const next = Array.from(outputs['next']!.data, Number);
      next.forEach((token, row) => {
        finished[row] ||= stopTokenIds.includes(token);
        if (!finished[row]) written[row]!.push(token);
      });
      if (finished.every(Boolean)) break;
      past = Object.fromEntries(this.#caches.map(({ past, variable }) => [past, variable]));
      const positions = prompts.map((prompt) => prompt.length + produced);
      positions.forEach((position, row) => keys[row]!.push(position));
      step = nextStep(next, positions);
    }
    await this.#compute.free(...this.#caches.map(({ variable }) => variable));
    return written;
  }
}

/** Computes what each step subtracts from products of integers, into variables by the inputs that they will be. */
async function computeTerms(compute: Compute, model: FederatedModel, trunk: Trunk): Promise<Record<string, string>> {
  const variables = Object.fromEntries(
    decodedTerms(model, trunk).map(({ name, entry: { values } }) => [name, `${values.file}: ${values.name}`]),
  );
  if (Object.keys(variables).length === 0) return variables;
  const session = await compute.load(termsProgram(model, trunk), weightFolder(model));
  await session.run({ feeds: {}, fetch: [], keep: variables });
  await session.release();
  return variables;
}

/** The tokens of one decoding step, sequence by sequence, and the inputs with their positions. */
interface DecodingStep {
  readonly ids: Int32Array;
  readonly places: Readonly<Record<'positions' | 'lastRows', Tensor>>;
}

/** The prompts, padded on the right. The last token of each sequence predicts the next one. */
function promptStep(prompts: readonly (readonly number[])[], length: number): DecodingStep {
  const ids = new Int32Array(prompts.length * length);
  prompts.forEach((prompt, row) => ids.set(prompt, row * length));
  return {
    ids,
    places: {
      positions: float32(
        Float32Array.from(ids, (_, i) => i % length),
        [prompts.length, length],
      ),
      lastRows: int32(Int32Array.from(prompts, (prompt, row) => row * length + prompt.length - 1)),
    },
  };
}

function nextStep(tokens: readonly number[], positions: readonly number[]): DecodingStep {
  return {
    ids: Int32Array.from(tokens),
    places: {
      positions: float32(Float32Array.from(positions), [tokens.length, 1]),
      lastRows: int32(Int32Array.from(tokens, (_, row) => row)),
    },
  };
}
