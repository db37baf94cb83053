import { readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { versions } from '../worker/run/versions.ts';

/** Properties of the machine on which measurements depend. */
export function machine() {
  return {
    ...versions('cpu'),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    loadBefore: loadavg()[0]!,
  };
}

/** Whether the processor multiplies bfloat16 faster than float32, by AMX or AVX-512. */
export function hasFastBfloat16(): boolean {
  return process.platform === 'linux' && /\b(avx512_bf16|amx_bf16)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
}

/** The machine as text, to be printed above a table. */
export function describeMachine({ 'onnxruntime-node': runtime, ...here }: ReturnType<typeof machine>): string {
  const slow = /AMD/.test(here.processor)
    ? ' On AMD processors, stock torch (with MKL) runs at about half of its speed on Intel processors: see bench/torch_round.py.'
    : '';
  return `${describeHost(here)}, onnxruntime-node ${runtime}.${slow}${busyWarning(here)}`;
}

/** The host alone, for benchmarks that do not train. */
export function describeHost({
  processor,
  cores,
  memoryGiB,
  node,
}: Omit<ReturnType<typeof machine>, 'onnxruntime-node'>): string {
  return `${processor}, ${cores} cores, ${memoryGiB} GiB; Node ${node}`;
}

/** A warning, or an empty text if the machine was idle. */
export function busyWarning({ loadBefore }: Pick<ReturnType<typeof machine>, 'loadBefore'>): string {
  return loadBefore > 0.5
    ? ` **The machine was busy at the start (load ${loadBefore.toFixed(1)}): measure again.**`
    : '';
}
