/** What the parts of the tests want of a test: a place for what is to be done at its end. */
export interface Scope {
  teardown(end: () => unknown): void;
}

/** Does `work`; then whatever it has begun ends, the last first. */
export async function scoped<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
  const ends: (() => unknown)[] = [];
  try {
    return await work({ teardown: (end) => void ends.unshift(end) });
  } finally {
    for (const end of ends) await end();
  }
}
