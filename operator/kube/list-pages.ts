import Type from 'typebox';
import Value from 'typebox/value';
import type { ApiClient } from './api-client.ts';
import { CODE, isApiError } from './api-error.ts';

export interface ListSettings {
  readonly client: ApiClient;
  /** Path of the collection. */
  readonly path: string;
  readonly labelSelector?: string;
  readonly pageSize?: number;
  readonly signal: AbortSignal;
}

/** An object has up to 1.5 MiB, and a page of the largest must fit into memory. */
const PAGE_SIZE = 100;

const List = Type.Object({
  metadata: Type.Object({ resourceVersion: Type.String(), continue: Type.Optional(Type.String()) }),
  items: Type.Array(Type.Unknown()),
});

/**
 * Lists a collection page by page. `take` is called with each item; what it returns is collected.
 * @returns the collected values, and the version from which to watch
 */
export async function listPages<T>(
  settings: ListSettings,
  take: (item: unknown) => T,
): Promise<{ readonly taken: readonly T[]; readonly version: string }> {
  try {
    return await pagesOf(settings, settings.pageSize ?? PAGE_SIZE, take);
  } catch (error) {
    // The version of the first page has expired: the list is too long for pages.
    if (isApiError(error, CODE.gone)) return pagesOf(settings, null, take);
    throw error;
  }
}

/** `size` null: all items in one page. */
async function pagesOf<T>(
  { client, path, labelSelector, signal }: ListSettings,
  size: number | null,
  take: (item: unknown) => T,
): Promise<{ readonly taken: readonly T[]; readonly version: string }> {
  const taken: T[] = [];
  let next: string | undefined;
  for (;;) {
    const query = {
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(size === null ? {} : { limit: size }),
      ...(next === undefined ? {} : { continue: next }),
    };
    const list = await client.json('GET', path, { query, signal });
    if (!Value.Check(List, list)) throw new Error(`GET ${path}: the answer is not a list`);
    for (const item of list.items) taken.push(take(item));
    next = list.metadata.continue;
    if (next === undefined || next === '') return { taken, version: list.metadata.resourceVersion };
  }
}
