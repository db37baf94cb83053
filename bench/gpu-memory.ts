import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Provider } from '../worker/engine/compute-protocol.ts';

/**
 * The result of `work`, and the peak memory in bytes of the first GPU meanwhile, by all processes: with contexts, code
 * and memory that an allocator keeps. Null if the provider is the CPU.
 */
export async function whileWatchingGpu<T>(provider: Provider, work: Promise<T>): Promise<[T, number | null]> {
  if (provider === 'cpu') return [await work, null];
  const query = ['--id=0', '--query-gpu=memory.used', '--format=csv,noheader,nounits', '--loop-ms=100'];
  const watcher = spawn('nvidia-smi', query, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(watcher, 'close');
  let mebibytes = 0;
  createInterface({ input: watcher.stdout }).on('line', (line) => (mebibytes = Math.max(mebibytes, Number(line))));
  try {
    const result = await work;
    return [result, mebibytes * 2 ** 20];
  } finally {
    watcher.kill();
    await ended;
  }
}
