import type { Tensor } from './graph/tensor.ts';

/** Execution providers of ONNX Runtime that the engine supports. */
export type Provider = 'cpu' | 'cuda';

/** A request to the compute process, which holds sessions and variables; only small tensors are transferred. */
export type ComputeRequest =
  | { readonly kind: 'load'; readonly session: number; readonly model: Uint8Array; readonly options: SessionOptions }
  | { readonly kind: 'unload'; readonly session: number }
  | ({ readonly kind: 'run'; readonly session: number } & RunRequest)
  | { readonly kind: 'write'; readonly variable: string; readonly tensor: Tensor }
  | { readonly kind: 'clear'; readonly variable: string; readonly shape: readonly number[] }
  | { readonly kind: 'read'; readonly variable: string }
  | { readonly kind: 'free'; readonly variables: readonly string[] }
  | { readonly kind: 'usage' };

export interface SessionOptions {
  readonly threads: number;
  readonly provider: Provider;
  /** Folder of the graph's weight files; null for a graph without stored weights. */
  readonly weightFolder: string | null;
  /** Whether weights are packed, i.e. copied into the order in which the matrix kernels read. */
  readonly prepack: boolean;
  /** Widen weights in half precision at each use: no optimization may fold or merge their Casts. */
  readonly widenPerUse: boolean;
}

export interface RunRequest {
  /** A tensor, or the name of a variable that the compute process holds. */
  readonly feeds: Readonly<Record<string, Tensor | string>>;
  /** Outputs to send back. */
  readonly fetch: readonly string[];
  /** Outputs to hold as new variables: output name → variable name. */
  readonly keep?: Readonly<Record<string, string>>;
  /** Outputs to write into the memory of existing variables of the same shape, which may be inputs of the same run. */
  readonly update?: Readonly<Record<string, string>>;
}

export interface RunResult {
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** Time spent in the session. */
  readonly milliseconds: number;
}

/** Resources used by the compute process since its start. */
export interface ComputeUsage {
  /** CPU time of all threads. */
  readonly cpuSeconds: number;
  readonly peakMemoryBytes: number;
}

export type ComputeReply =
  | { readonly id: number; readonly ok: true; readonly value: RunResult | Tensor | ComputeUsage | null }
  | { readonly id: number; readonly ok: false; readonly error: string };

export type ComputeMessage = ComputeRequest & { readonly id: number };
