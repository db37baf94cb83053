import { accessSync, constants, existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { errorMessage, UserError } from '../../crds/facts/user-error.ts';

const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';

const HINT = 'Give --kubeconfig, set KUBECONFIG, or run in a pod with a ServiceAccount.';

/**
 * How to reach the API server: the file, else KUBECONFIG, else the pod's ServiceAccount, whose token is read again
 * every minute, else ~/.kube/config. client-node's silent fallback to localhost:8080 is never used.
 * @throws UserError that says what is missing or wrong
 */
export function loadKubeConfig(path: string | null): KubeConfig {
  const variable = process.env['KUBECONFIG'];
  const home = join(homedir(), '.kube', 'config');
  if (path !== null) return fromFiles(path, (config) => config.loadFromFile(path));
  if (variable !== undefined && variable !== '')
    return fromFiles(`KUBECONFIG=${variable}`, (config) => config.loadFromDefault());
  if (process.env['KUBERNETES_SERVICE_HOST'] && existsSync(SERVICE_ACCOUNT_TOKEN)) {
    return fromFiles("the pod's ServiceAccount", (config) => config.loadFromCluster());
  }
  if (existsSync(home)) return fromFiles(home, (config) => config.loadFromFile(home));
  throw new UserError(
    `there is no configuration of a Kubernetes cluster: no KUBECONFIG, no ServiceAccount, no ${home}`,
    { hint: HINT },
  );
}

function fromFiles(source: string, load: (config: KubeConfig) => void): KubeConfig {
  const config = new KubeConfig();
  try {
    load(config);
  } catch (cause) {
    throw new UserError(`${source} cannot be read as a kubeconfig: ${errorMessage(cause)}`, { hint: HINT, cause });
  }
  const problem = problemOf(config);
  if (problem !== null) throw new UserError(`${source} cannot be used: ${problem}`, { hint: HINT });
  return config;
}

/** An error that client-node would report with the first request, or never; null: none. */
function problemOf(config: KubeConfig): string | null {
  const name = config.getCurrentContext();
  if (!name) return 'it has no current-context';
  const context = config.getContextObject(name);
  if (context === null) return `its current-context ${JSON.stringify(name)} is not one of its contexts`;
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    return `its context ${JSON.stringify(name)} names the cluster ${JSON.stringify(context.cluster)}, which it does not define`;
  const user = config.getCurrentUser();
  if (user === null)
    return `its context ${JSON.stringify(name)} names the user ${JSON.stringify(context.user)}, which it does not define`;
  const server = URL.canParse(cluster.server) ? new URL(cluster.server) : null;
  if (server === null || (server.protocol !== 'https:' && server.protocol !== 'http:'))
    return `the server ${JSON.stringify(cluster.server)} is not a URL`;
  if (server.protocol === 'http:' && cluster.skipTLSVerify !== true) {
    return `the server ${cluster.server} is used without TLS, which requires insecure-skip-tls-verify: true`;
  }
  for (const file of [cluster.caFile, user.certFile, user.keyFile]) {
    if (file !== undefined && file !== null && !isReadable(file))
      return `it names the file ${file}, which cannot be read`;
  }
  return null;
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
