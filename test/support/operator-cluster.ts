import type { Test } from 'tap';
import { Cluster } from '../../operator/kube/cluster.ts';
import type { ClusterSettings } from '../../operator/kube/cluster.ts';
import { loadKubeConfig } from '../../operator/kube/kube-config.ts';
import { createLog } from '../../operator/process/log.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import type { ReconcilePorts } from '../../operator/ports/reconcile-ports.ts';
import { SYSTEM } from './chart.ts';
import type { ControlPlane } from './control-plane.ts';
import { operatorAccount, operatorIn } from './operator-access.ts';
import { USERS } from './planned-job.ts';
import { until } from './until.ts';

/** Creates the operator's account, with permissions only in its own namespace, and returns its token. */
export async function createOperatorAccount({ kubectl }: ControlPlane): Promise<string> {
  await kubectl(['create', 'namespace', SYSTEM]);
  await kubectl(['create', '--filename=-'], operatorAccount());
  return (await kubectl(['create', 'token', 'fedbiot-operator', '--namespace', SYSTEM, '--duration=2h'])).trim();
}

/** Grants the operator its permissions in a namespace, or in all (null). */
export async function allowOperator({ kubectl }: ControlPlane, namespace: string | null): Promise<void> {
  await kubectl(['create', '--filename=-'], operatorIn(namespace));
}

export interface SeenCluster {
  readonly cluster: Cluster;
  readonly ports: ReconcilePorts;
  readonly changed: readonly string[];
  readonly removed: readonly JobObject[];
  readonly log: () => string;
  /** Method and status code of each request. */
  readonly requests: readonly string[];
  /** Resources whose watch was restarted after a failure. */
  readonly restarted: readonly string[];
  readonly filled: () => Promise<unknown>;
}

/** The operator's view of the cluster, started, and its notifications. */
export function watchCluster(t: Test, kubeconfig: string, settings: Partial<ClusterSettings> = {}): SeenCluster {
  const changed: string[] = [];
  const removed: JobObject[] = [];
  const requests: string[] = [];
  const restarted: string[] = [];
  let log = '';
  const cluster = new Cluster({
    kubeConfig: loadKubeConfig(kubeconfig),
    namespaces: null,
    log: createLog('info', { write: (text) => void (log += text) }),
    request: (method, _host, code) => requests.push(`${method} ${code}`),
    changed: (key) => changed.push(key),
    removed: (job) => removed.push(job),
    watch: { added: () => undefined, restarted: (resource) => restarted.push(resource) },
    ...settings,
  });
  t.teardown(() => cluster.close());
  cluster.start();
  return {
    cluster,
    ports: {
      ...cluster.ports,
      progressOf: () => null,
      redisUsers: () => USERS,
      grantRedis: async () => undefined,
      now: () => Date.now(),
    },
    changed,
    removed,
    log: () => log,
    requests,
    restarted,
    filled: () => until('all is listed', 60, () => (cluster.missing() === null ? true : null)),
  };
}
