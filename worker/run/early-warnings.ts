/**
 * Prepares a run. What it warns of is told when the run begins; where it does not come to that, it is told at once, as
 * it may say why.
 * @param warnings what was warned of; `prepare` adds to it
 */
export async function tellingOnFailure<T>(
  warnings: readonly string[],
  tell: (message: string) => void,
  prepare: () => Promise<T>,
): Promise<T> {
  try {
    return await prepare();
  } catch (error) {
    warnings.forEach(tell);
    throw error;
  }
}
