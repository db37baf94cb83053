/** The part of a test that test helpers use: it registers functions to call at the end. */
export interface Scope {
  teardown(end: () => unknown): void;
}

/** Does `work`, then calls the registered functions, the last one first. */
export async function scoped<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
  const ends: (() => unknown)[] = [];
  try {
    return await work({ teardown: (end) => void ends.unshift(end) });
  } finally {
    for (const end of ends) await end();
  }
}
