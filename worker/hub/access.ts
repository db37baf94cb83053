import * as http from 'node:http';
import { hubRoute, routeText } from '../cluster/hub-route.ts';
import type { HubRoute } from '../cluster/hub-route.ts';
import { UserError } from '../../crds/facts/user-error.ts';

/** Options for functions of the hub's library. */
export interface HubAccess {
  readonly hubUrl: string;
  readonly accessToken?: string;
}

/** Whether only the cache may be used: HF_HUB_OFFLINE, with the values that huggingface_hub accepts. */
export function isOffline(): boolean {
  return ['1', 'true', 'yes', 'on'].includes((process.env['HF_HUB_OFFLINE'] ?? '').toLowerCase());
}

/**
 * Runs `action` with access to the hub, by the endpoint, proxy and token of the environment. The proxy applies only to
 * these requests.
 * @throws UserError if a variable is invalid; any error of `action`
 */
export async function withHub<T>(action: (hub: HubAccess) => Promise<T>): Promise<T> {
  const route = hubRoute(process.env);
  const { HF_TOKEN: accessToken } = process.env;
  const restore = useProxy(route);
  try {
    return await action({ hubUrl: route.endpoint, ...(accessToken ? { accessToken } : {}) });
  } finally {
    restore();
  }
}

function useProxy({ proxy, noProxy }: HubRoute): () => void {
  if (proxy === null) return () => undefined;
  if (!('setGlobalProxyFromEnv' in http)) {
    throw new UserError(`a proxy is set, which Node ${process.version} cannot use`, {
      hint: 'Run fedbiot with the Node that comes with it, or with Node 24.14 or newer.',
    });
  }
  return http.setGlobalProxyFromEnv({ HTTPS_PROXY: proxy, HTTP_PROXY: proxy, NO_PROXY: noProxy });
}

/** The error for a failed download, which names endpoint and proxy. `locally`: a hint for work without the hub. */
export function unreachable(uri: string, cause: unknown, locally: string): UserError {
  const route = hubRoute(process.env);
  const remedy =
    route.proxy === null
      ? 'Behind a proxy, set HTTPS_PROXY; to use a mirror, set HF_ENDPOINT.'
      : 'Check the proxy, or exempt the hub from it in NO_PROXY.';
  return new UserError(`cannot download ${uri} from ${routeText(route)}: ${rootCause(cause)}`, {
    hint: `${remedy} ${locally}`,
    cause,
  });
}

/** A sentence that names endpoint and proxy, for hints. */
export function asked(): string {
  return `The request went to ${routeText(hubRoute(process.env))}.`;
}

/** fetch() only reports "fetch failed"; its cause has the reason. */
function rootCause(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? rootCause(error.cause) : error.message || error.name;
}
