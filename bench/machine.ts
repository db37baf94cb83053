import { cpus, loadavg, totalmem } from 'node:os';
import { versions } from '../worker/run/versions.ts';

/** What a figure depends on besides the program. */
export function machine() {
  return { ...versions(), cores: cpus().length, memoryGiB: Math.round(totalmem() / 2 ** 30), loadBefore: loadavg()[0]! };
}

/** The same in a paragraph for the reader of a table. */
export function describeMachine({ processor, cores, memoryGiB, node, 'onnxruntime-node': runtime, loadBefore }: ReturnType<typeof machine>): string {
  const slow = /AMD/.test(processor) ? ' On processors by AMD, stock torch (its MKL) runs at about half of its speed on Intel’s: see bench/torch_round.py.' : '';
  const busy = loadBefore > 0.5 ? ` **The machine was busy when this began (load ${loadBefore.toFixed(1)}): measure again.**` : '';
  return `${processor}, ${cores} cores, ${memoryGiB} GiB; Node ${node}, onnxruntime-node ${runtime}.${slow}${busy}`;
}
