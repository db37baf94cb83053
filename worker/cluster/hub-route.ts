import { UserError } from '../../crds/facts/user-error.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** How the Hugging Face hub is reached. */
export interface HubRoute {
  /** Of the hub or a mirror, without a slash at its end. */
  readonly endpoint: string;
  /** With its credentials; null: none. */
  readonly proxy: string | null;
  /** Hosts that are reached without the proxy. */
  readonly noProxy: string;
}

const HUB = 'https://huggingface.co';

/**
 * The route to the hub, from environment variables: HF_ENDPOINT; HTTPS_PROXY or HTTP_PROXY, depending on the
 * endpoint's scheme, else ALL_PROXY; NO_PROXY. Lower-case names of these variables take precedence.
 * @throws UserError that names the variable, without its secrets
 */
export function hubRoute(variables: Variables): HubRoute {
  const given = (name: string) => variables[name.toLowerCase()]?.trim() || variables[name]?.trim() || undefined;
  const endpoint = urlIn('HF_ENDPOINT', given('HF_ENDPOINT') ?? HUB);
  if (endpoint.username !== '' || endpoint.password !== '') {
    throw new UserError('HF_ENDPOINT contains credentials', {
      hint: 'Use HF_TOKEN for credentials, and only the address in HF_ENDPOINT.',
    });
  }
  const noProxy = given('NO_PROXY') ?? '';
  const name = [endpoint.protocol === 'http:' ? 'HTTP_PROXY' : 'HTTPS_PROXY', 'ALL_PROXY'].find(
    (variable) => given(variable) !== undefined,
  );
  const value = name === undefined ? undefined : given(name);
  // Like curl, accepts a proxy without a scheme.
  const proxy =
    name === undefined || value === undefined ? null : urlIn(name, value.includes('://') ? value : `http://${value}`);
  return {
    endpoint: `${endpoint.origin}${endpoint.pathname}`.replace(/\/+$/, ''),
    proxy: proxy === null || isExempt(endpoint, noProxy) ? null : proxy.href.replace(/\/$/, ''),
    noProxy,
  };
}

/** Host and port to which a connection is made. */
export function nextHop({ endpoint, proxy }: HubRoute): { host: string; port: number } {
  const { hostname, port, protocol } = new URL(proxy ?? endpoint);
  return { host: hostname, port: port === '' ? (protocol === 'http:' ? 80 : 443) : Number(port) };
}

/** The endpoint, and the proxy if there is one, without credentials. */
export function routeText({ endpoint, proxy }: HubRoute): string {
  if (proxy === null) return endpoint;
  const { protocol, host } = new URL(proxy);
  return `${endpoint} through the proxy ${protocol}//${host}`;
}

function urlIn(name: string, value: string): URL {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url !== null && (url.protocol === 'https:' || url.protocol === 'http:') && url.hostname !== '') return url;
  const scheme = url === null ? 'its value is not a URL' : `${url.protocol}// is not supported`;
  throw new UserError(`${name} cannot be used: ${scheme}`, {
    hint: `Write ${name === 'HF_ENDPOINT' ? 'https://mirror.example' : 'http://proxy.example:3128'}.`,
  });
}

/**
 * Whether NO_PROXY contains the host, as in Node: `*`, a host, `.domain` or `*.domain`, each with or without a port.
 */
function isExempt({ hostname, port, protocol }: URL, noProxy: string): boolean {
  const own = port === '' ? (protocol === 'http:' ? '80' : '443') : port;
  return noProxy.split(/[\s,]+/).some((entry) => {
    const [, host = '', only] = /^(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
    if (host === '' || (only !== undefined && only !== own)) return false;
    if (host === '*' || host === hostname) return true;
    const domain = host.replace(/^\*/, '');
    return domain.startsWith('.') && hostname.endsWith(domain);
  });
}
