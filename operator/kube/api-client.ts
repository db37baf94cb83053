import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import type { KubeConfig } from '@kubernetes/client-node';
import type { OperatorMetrics } from '../metrics/operator-metrics.ts';
import { ApiError } from './api-error.ts';
import { Authentication, NoCredentials } from './authentication.ts';

export interface ApiClientSettings {
  readonly kubeConfig: KubeConfig;
  /** Counts every request. */
  readonly request: OperatorMetrics['request'];
  readonly timeoutMs?: number;
}

export interface ApiRequest {
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly body?: object;
  readonly contentType?: string;
  /** Aborts the request. */
  readonly signal?: AbortSignal;
}

export const MERGE_PATCH = 'application/merge-patch+json';

const TIMEOUT_MS = 30_000;

/** The API server closes connections after 90 s without a request; ours are closed before that. */
const IDLE_MS = 60_000;

/**
 * A JSON client of the API server. client-node provides address and credentials only: its typed calls open one
 * connection each and turn times into Dates. Requests here use connections that are kept alive.
 */
export class ApiClient {
  readonly #settings: ApiClientSettings;
  readonly #timeoutMs: number;
  readonly #server: string;
  readonly #host: string;
  /** null: the kubeconfig names a proxy, and client-node's agent is used. */
  readonly #agent: HttpAgent | null;
  readonly #authentication: Authentication;

  constructor(settings: ApiClientSettings) {
    const cluster = settings.kubeConfig.getCurrentCluster();
    if (cluster === null) throw new Error('the kubeconfig names no cluster');
    this.#settings = settings;
    this.#authentication = new Authentication(settings.kubeConfig);
    this.#timeoutMs = settings.timeoutMs ?? TIMEOUT_MS;
    this.#server = cluster.server.replace(/\/$/, '');
    this.#host = new URL(this.#server).host;
    const options = { keepAlive: true, timeout: IDLE_MS };
    this.#agent = cluster.proxyUrl ? null : this.#isPlain ? new HttpAgent(options) : new HttpsAgent(options);
  }

  get #isPlain(): boolean {
    return this.#server.startsWith('http:');
  }

  /** The parsed answer. @throws ApiError, or the error of the connection */
  async json(method: string, path: string, request: ApiRequest = {}): Promise<unknown> {
    return this.#within(`${method} ${path}`, request.signal ?? null, async (signal, what) => {
      const answer = await text(await this.#send(method, path, request, signal));
      return parsed(answer, what);
    });
  }

  /** The body of the answer as a stream, which `signal` ends. @throws ApiError, or the error of the connection */
  stream(path: string, query: ApiRequest['query'], signal: AbortSignal): Promise<IncomingMessage> {
    return this.#within(`GET ${path}`, signal, (both) =>
      this.#send('GET', path, query === undefined ? {} : { query }, both),
    );
  }

  /** Closes the connections; requests in progress fail. */
  close(): void {
    this.#agent?.destroy();
  }

  /** Aborts `work` at the timeout. A stream that it has returned is not affected. */
  async #within<T>(
    what: string,
    outer: AbortSignal | null,
    work: (signal: AbortSignal, what: string) => Promise<T>,
  ): Promise<T> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), this.#timeoutMs);
    try {
      return await work(outer === null ? late.signal : AbortSignal.any([outer, late.signal]), what);
    } catch (error) {
      if (late.signal.aborted) {
        const missing =
          error instanceof Error && error.cause instanceof NoCredentials ? error.cause.message : 'no answer';
        throw new Error(`${what}: ${missing} within ${this.#timeoutMs / 1000} s`, { cause: error });
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #send(method: string, path: string, request: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const body = request.body === undefined ? null : Buffer.from(JSON.stringify(request.body));
    const options: RequestOptions = {
      method,
      signal,
      headers: {
        accept: 'application/json',
        'user-agent': 'fedbiot-operator',
        ...(body === null
          ? {}
          : { 'content-type': request.contentType ?? 'application/json', 'content-length': body.length }),
      },
    };
    let response: IncomingMessage;
    try {
      await this.#authentication.apply(options, signal);
      if (this.#agent !== null) options.agent = this.#agent;
      response = await this.#exchange(`${this.#server}${path}${queryText(request.query)}`, options, body);
    } catch (cause) {
      this.#settings.request(method, this.#host, '<error>');
      throw new Error(`${method} ${path}: ${cause instanceof Error ? cause.message || cause.name : String(cause)}`, {
        cause,
      });
    }
    const code = response.statusCode ?? 0;
    this.#settings.request(method, this.#host, code);
    if (code >= 200 && code < 300) return response;
    throw new ApiError(`${method} ${path}`, code, statusOf(await text(response)));
  }

  #exchange(url: string, options: RequestOptions, body: Buffer | null): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = this.#isPlain ? httpRequest(url, options) : httpsRequest(url, options);
      // The listener stays: an error after the answer began is reported by the answer's stream.
      request
        .on('error', reject)
        .on('response', resolve)
        .end(body ?? undefined);
    });
  }
}

function queryText(query: ApiRequest['query']): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) parameters.set(name, String(value));
  return parameters.size === 0 ? '' : `?${parameters}`;
}

function parsed(answer: string, what: string): unknown {
  try {
    return JSON.parse(answer);
  } catch (cause) {
    throw new Error(`${what}: the answer is not JSON`, { cause });
  }
}

function statusOf(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    return answer;
  }
}
