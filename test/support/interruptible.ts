import { listenForInterrupts } from '../../worker/commands/interrupts.ts';

/**
 * A program that waits for signals. With an argument, it stops after the first one; otherwise only the second ends it.
 */
const stop = new AbortController();
const release = listenForInterrupts(stop, (line) => process.stderr.write(`${line}\n`));
const waiting = setInterval(() => undefined, 1000);
stop.signal.addEventListener('abort', () => {
  if (process.argv[2] !== 'obedient') return;
  clearInterval(waiting);
  release();
});
process.stdout.write('ready\n');
