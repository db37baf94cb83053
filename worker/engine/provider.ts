/** What computes: those of ONNX Runtime's execution providers that the engine knows. */
export type Provider = 'cpu' | 'cuda';
