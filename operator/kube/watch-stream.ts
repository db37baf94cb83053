import { isRecord } from '../../crds/json-schema/node.ts';
import type { ApiClient, ApiRequest } from './api-client.ts';
import { linesOf, Unreadable } from './lines.ts';

export interface WatchEvent {
  readonly type: string;
  readonly object: unknown;
}

export interface WatchLimits {
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** A connection on which nothing comes for so long is taken for dead: the other side may be gone without a word. */
  readonly silenceMs: number;
  readonly maxLineBytes: number;
}

/**
 * The changes of a collection that the API server sends, until it or `signal` ends the watch. @throws Unreadable,
 * ApiError, or what cut the connection
 */
export async function* watchStream(
  client: ApiClient,
  path: string,
  query: ApiRequest['query'],
  limits: WatchLimits,
): AsyncGenerator<WatchEvent> {
  const { signal, silenceMs, maxLineBytes } = limits;
  const response = await client.stream(path, { ...query, watch: true }, signal);
  const watchdog = setTimeout(() => response.destroy(new Error(`nothing came for ${silenceMs / 1000} s`)), silenceMs);
  try {
    for await (const line of linesOf(response, maxLineBytes, () => watchdog.refresh())) yield eventOf(line);
  } finally {
    clearTimeout(watchdog);
    response.destroy();
  }
}

function eventOf(line: string): WatchEvent {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new Unreadable('a line is not JSON', { cause });
  }
  if (!isRecord(value) || typeof value['type'] !== 'string') throw new Unreadable('a line is no event');
  return { type: value['type'], object: value['object'] };
}
