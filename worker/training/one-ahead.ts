/**
 * Asks for each piece of work while the one before it is computed, and yields the results in order, so that whoever
 * computes does not wait for whoever prepares.
 * @param ask resolves when the work has been asked for, with what will come of it
 */
export async function* oneAhead<Item, Result>(
  items: Iterable<Item>,
  ask: (item: Item) => Promise<{ readonly result: Promise<Result> }>,
): AsyncGenerator<Result, void> {
  let underway: Promise<Result> | null = null;
  for (const item of items) {
    const { result } = await ask(item);
    // It may fail when nobody listens any more, because the one before it has failed.
    result.catch(() => undefined);
    if (underway) yield await underway;
    underway = result;
  }
  if (underway) yield await underway;
}
