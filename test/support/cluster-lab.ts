import type { Test } from 'tap';
import { ApiClient } from '../../operator/kube/api-client.ts';
import { loadKubeConfig } from '../../operator/kube/kube-config.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import { validJob } from '../fixtures/invalid-jobs.ts';
import { startControlPlane } from './control-plane.ts';
import type { ControlPlane } from './control-plane.ts';
import { createOperatorAccount } from './operator-cluster.ts';
import type { SeenCluster } from './operator-cluster.ts';
import { until } from './until.ts';

export const jobManifest = (
  name: string,
  { spec = {}, namespace = 'lab' }: { spec?: object; namespace?: string } = {},
) => {
  const { model, data } = validJob().spec;
  return {
    apiVersion: 'fedbiot.io/v1alpha1',
    kind: 'FedBiOTJob',
    metadata: { name, namespace },
    spec: { model, data, ...spec },
  };
};

export interface ClusterLab {
  readonly plane: ControlPlane;
  readonly kubectl: ControlPlane['kubectl'];
  /** The operator's kubeconfig. Its account has no permissions yet. */
  readonly operator: string;
  readonly admin: ApiClient;
  /** Creates a job in the namespace `lab`, and waits until the operator has seen it. */
  readonly made: (seen: SeenCluster, name: string, spec?: object) => Promise<JobObject>;
}

/** A control plane with the namespaces `lab` and `other`, and the operator's account. */
export async function startClusterLab(t: Pick<Test, 'teardown'>): Promise<ClusterLab> {
  const plane = await startControlPlane();
  t.teardown(plane.close);
  const { kubectl } = plane;
  for (const namespace of ['lab', 'other']) await kubectl(['create', 'namespace', namespace]);
  const operator = plane.kubeconfigFor(await createOperatorAccount(plane));
  const admin = new ApiClient({ kubeConfig: loadKubeConfig(plane.kubeconfig), request: () => undefined });
  t.teardown(() => admin.close());
  return {
    plane,
    kubectl,
    operator,
    admin,
    made: async ({ ports }, name, spec = {}) => {
      await kubectl(['create', '--filename', '-'], jobManifest(name, { spec }));
      return await until(`the operator sees the job ${name}`, 30, () => ports.getJob('lab', name));
    },
  };
}
