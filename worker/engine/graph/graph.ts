import { sameShape } from './tensor.ts';
import type { DType, Shape, Tensor } from './tensor.ts';

/** One tensor of a graph: the result of an operator, an input, a constant, or a stored weight. */
export interface Value {
  readonly graph: Graph;
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** An attribute that is a graph is the body of an operator, such as a loop's. */
export type Attribute = number | string | readonly number[] | { readonly float: number } | Graph;

export interface Node {
  readonly operator: string;
  readonly domain: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** Bytes of a weight inside a file; the session maps them without a copy. */
export interface StoredWeight {
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

/**
 * Adds a gradient to the accumulated gradient of the same value. Operators that can accumulate (Gemm's C) do it in one
 * operation; `plain` is for all others.
 */
export type Contribution = (soFar: Value | undefined) => Value;

/** Gradients of the inputs given the output's gradient; `wanted[i]` says which inputs need one. */
export type GradientRule = (dy: Value, wanted: readonly boolean[]) => readonly (Contribution | undefined)[];

/** The same for an operator with several outputs, of which some may not reach the loss. */
export type JointGradientRule = (
  dys: readonly (Value | undefined)[],
  wanted: readonly boolean[],
) => readonly (Contribution | undefined)[];

/** The tape of reverse-mode differentiation: operators, simple or fused, in the order of their construction. */
export interface TapeEntry {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly rule: JointGradientRule;
}

/** The domain of ONNX Runtime's own operators. */
export const ORT_DOMAIN = 'com.microsoft';

/** A computation under construction: operators appended in topological order, and the tape for their gradients. */
export class Graph {
  readonly nodes: Node[] = [];
  readonly tape: TapeEntry[] = [];
  readonly inputs: Value[] = [];
  readonly outputs: { readonly name: string; readonly value: Value }[] = [];
  readonly constants = new Map<Value, Tensor>();
  readonly weights = new Map<Value, StoredWeight>();
  readonly #scope: string;
  #counter = 0;
  readonly #shared = new Map<string, Value>();

  /**
   * @param scope prefix of all names: those of a body must differ from those of the enclosing graph, whose values it
   *   may use
   */
  constructor(scope = '') {
    this.#scope = scope;
  }

  value(prefix: string, dtype: DType, shape: Shape): Value {
    return { graph: this, name: `${this.#scope}${prefix}_${this.#counter++}`, dtype, shape };
  }

  /** An empty graph for the body of one of this graph's operators. */
  body(): Graph {
    return new Graph(`${this.#scope}body_${this.#counter++}.`);
  }

  input(name: string, dtype: DType, shape: Shape): Value {
    if (this.inputs.some((input) => input.name === this.#scope + name))
      throw new Error(`input ${name} is declared twice`);
    const value: Value = { graph: this, name: this.#scope + name, dtype, shape };
    this.inputs.push(value);
    return value;
  }

  /** Names an output. A value that already has a name (an input, a constant, an output) is copied. */
  output(name: string, value: Value): void {
    const computed = this.nodes.some(({ outputs }) => outputs.includes(value));
    const taken = this.outputs.some((output) => output.value === value);
    this.outputs.push({
      name: this.#scope + name,
      value: computed && !taken ? value : this.apply('Identity', [value], value.dtype, value.shape),
    });
  }

  constant(tensor: Tensor): Value {
    const key = `${tensor.dtype}[${tensor.shape}]${tensor.data}`;
    return this.#once(key, () => {
      const value = this.value('const', tensor.dtype, tensor.shape);
      this.constants.set(value, tensor);
      return value;
    });
  }

  /** A number as a float32 scalar. */
  number(x: number): Value {
    return this.constant({ dtype: 'float32', shape: [], data: Float32Array.of(x) });
  }

  /** Axes, shapes and sizes are int64 vectors in ONNX. */
  integers(...xs: number[]): Value {
    return this.constant({ dtype: 'int64', shape: [xs.length], data: BigInt64Array.from(xs, BigInt) });
  }

  /** A weight read in place from a file; the same weight is the same value. */
  weight(name: string, dtype: DType, shape: Shape, stored: StoredWeight): Value {
    return this.#once(`weight:${name}`, () => {
      const value: Value = { graph: this, name, dtype, shape };
      this.weights.set(value, stored);
      return value;
    });
  }

  /** Bytes of its weights in their files; shared bytes count once. */
  get weightBytes(): number {
    let bytes = 0;
    for (const stored of Map.groupBy(this.weights.values(), ({ file }) => file).values()) {
      let end = 0;
      for (const weight of stored.toSorted((a, b) => a.offset - b.offset)) {
        const next = Math.max(end, weight.offset + weight.bytes);
        bytes += next - Math.max(end, weight.offset);
        end = next;
      }
    }
    return bytes;
  }

  /** The size of a named dimension as an int64 vector of one element, taken from the first input that has it. */
  dimension(name: string): Value {
    return this.#once(`dimension:${name}`, () => {
      for (const input of this.inputs) {
        const axis = input.shape.indexOf(name);
        if (axis >= 0) return this.apply('Shape', [input], 'int64', [1], { start: axis, end: axis + 1 });
      }
      throw new Error(`no input has a dimension ${name}`);
    });
  }

  /** Appends one operator with one output. */
  apply(
    operator: string,
    inputs: readonly (Value | undefined)[],
    dtype: DType,
    shape: Shape,
    attributes: Record<string, Attribute> = {},
    domain = '',
  ): Value {
    return this.applyMany(operator, inputs, [{ dtype, shape }], attributes, domain)[0]!;
  }

  /** Appends one operator with several outputs. */
  applyMany(
    operator: string,
    inputs: readonly (Value | undefined)[],
    results: readonly { dtype: DType; shape: Shape }[],
    attributes: Record<string, Attribute> = {},
    domain = '',
  ): Value[] {
    const outputs = results.map(({ dtype, shape }) => this.value(operator, dtype, shape));
    this.nodes.push({ operator, domain, inputs, outputs, attributes });
    return outputs;
  }

  /** Records how `output` is differentiated with respect to `inputs`; returns `output`. */
  differentiable(inputs: readonly Value[], output: Value, rule: GradientRule): Value {
    this.tape.push({ inputs, outputs: [output], rule: ([dy], wanted) => (dy ? rule(dy, wanted) : []) });
    return output;
  }

  /** The same for an operator with several outputs. */
  differentiableMany(inputs: readonly Value[], outputs: Value[], rule: JointGradientRule): Value[] {
    this.tape.push({ inputs, outputs, rule });
    return outputs;
  }

  /**
   * Builds `output` from `inputs` with several operators that count as one: `rule` replaces their gradients, because it
   * is cheaper or numerically better.
   */
  fused(inputs: readonly Value[], build: () => Value, rule: GradientRule): Value {
    const mark = this.tape.length;
    const output = build();
    this.tape.length = mark;
    return this.differentiable(inputs, output, rule);
  }

  #once(key: string, make: () => Value): Value {
    let value = this.#shared.get(key);
    if (!value) this.#shared.set(key, (value = make()));
    return value;
  }
}

/** A contribution by element-wise addition. */
export function plain(gradient: Value): Contribution {
  return (soFar) => {
    if (!soFar) return gradient;
    if (!sameShape(soFar.shape, gradient.shape))
      throw new Error(`gradients of shapes [${soFar.shape}] and [${gradient.shape}] cannot be added`);
    return gradient.graph.apply('Add', [soFar, gradient], gradient.dtype, gradient.shape);
  };
}
