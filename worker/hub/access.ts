import * as http from 'node:http';
import { hubRoute, routeText } from '../cluster/hub-route.ts';
import type { HubRoute } from '../cluster/hub-route.ts';
import { UserError } from '../../crds/facts/user-error.ts';

/** What calls of the hub's library take. */
export interface HubAccess {
  readonly hubUrl: string;
  readonly accessToken?: string;
}

/** Whether only the cache may be used, as huggingface_hub reads HF_HUB_OFFLINE. */
export function isOffline(): boolean {
  return ['1', 'true', 'yes', 'on'].includes((process.env['HF_HUB_OFFLINE'] ?? '').toLowerCase());
}

/**
 * Lets `action` use the hub, with the endpoint, proxy and token of the environment. Other connections of the process
 * use the proxy only meanwhile.
 * @throws UserError for variables that cannot be used; what `action` throws
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

/** The error for a failed download, with endpoint and proxy. `locally`: what to do without the hub. */
export function unreachable(uri: string, cause: unknown, locally: string): UserError {
  const route = hubRoute(process.env);
  const remedy =
    route.proxy === null
      ? 'Behind a proxy, set HTTPS_PROXY; HF_ENDPOINT names a mirror.'
      : 'Check the proxy, or exempt the hub from it in NO_PROXY.';
  return new UserError(`cannot download ${uri} from ${routeText(route)}: ${rootCause(cause)}`, {
    hint: `${remedy} ${locally}`,
    cause,
  });
}

/** A sentence with endpoint and proxy, for hints. */
export function asked(): string {
  return `The request went to ${routeText(hubRoute(process.env))}.`;
}

/** fetch() says "fetch failed"; what failed is in the cause. */
function rootCause(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? rootCause(error.cause) : error.message || error.name;
}
