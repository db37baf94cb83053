import { cpus, loadavg, totalmem } from 'node:os';
import { versions } from '../worker/run/versions.ts';

/** What a figure depends on besides the program. */
export function machine() {
  return {
    ...versions(),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    loadBefore: loadavg()[0]!,
  };
}

/** The same in a paragraph for the reader of a table. */
export function describeMachine({ 'onnxruntime-node': runtime, ...here }: ReturnType<typeof machine>): string {
  const slow = /AMD/.test(here.processor)
    ? ' On processors by AMD, stock torch (its MKL) runs at about half of its speed on Intel’s: see bench/torch_round.py.'
    : '';
  return `${describeHost(here)}, onnxruntime-node ${runtime}.${slow}${busyWarning(here)}`;
}

/** For what does not train. */
export function describeHost({
  processor,
  cores,
  memoryGiB,
  node,
}: Omit<ReturnType<typeof machine>, 'onnxruntime-node'>): string {
  return `${processor}, ${cores} cores, ${memoryGiB} GiB; Node ${node}`;
}

/** Empty for a machine that was quiet. */
export function busyWarning({ loadBefore }: Pick<ReturnType<typeof machine>, 'loadBefore'>): string {
  return loadBefore > 0.5
    ? ` **The machine was busy when this began (load ${loadBefore.toFixed(1)}): measure again.**`
    : '';
}
