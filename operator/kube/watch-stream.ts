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
  /** A connection without data for this time is closed: the server may be gone without closing it. */
  readonly silenceMs: number;
  readonly maxLineBytes: number;
}

/**
 * The events of a watch, until the API server or `signal` ends it.
 * @throws Unreadable, ApiError, or the error of the connection
 */
export async function* watchStream(
  client: ApiClient,
  path: string,
  query: ApiRequest['query'],
  limits: WatchLimits,
): AsyncGenerator<WatchEvent> {
  const { signal, silenceMs, maxLineBytes } = limits;
  const response = await client.stream(path, { ...query, watch: true }, signal);
  const watchdog = setTimeout(() => response.destroy(new Error(`no data for ${silenceMs / 1000} s`)), silenceMs);
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
  if (!isRecord(value) || typeof value['type'] !== 'string') throw new Unreadable('a line is not an event');
  return { type: value['type'], object: value['object'] };
}
