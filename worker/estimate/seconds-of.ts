/** Minimum seconds of a measurement, after a first run that is not counted. */
const SECONDS = 0.1;

/** Mean seconds of some work, which is repeated until they are certain. */
export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  await work();
  const start = performance.now();
  for (let times = 1; ; times++) {
    await work();
    const seconds = (performance.now() - start) / 1000;
    if (seconds >= SECONDS) return seconds / times;
  }
}
