import { KubeConfig, KubernetesObjectApi } from '@kubernetes/client-node';
import type { KubernetesObject, V1Lease, V1Pod } from '@kubernetes/client-node';
import { selectorOf } from '../../../operator/objects/labels.ts';
import type { Role } from '../../../crds/facts/role.ts';
import type { FedBiOTJobStatus } from '../../../crds/types.ts';
import type { Lab } from '../../cluster/lab/start.ts';
import { SYSTEM } from '../../support/chart.ts';

interface StoredJob extends KubernetesObject {
  readonly status?: FedBiOTJobStatus;
}

/** Objects that the tests read often. kubectl takes half a second of CPU time per call. */
export class LabObjects {
  readonly #api: KubernetesObjectApi;

  constructor({ kubeconfig }: Lab) {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    this.#api = KubernetesObjectApi.makeApiClient(config);
  }

  async status(namespace: string, job: string): Promise<FedBiOTJobStatus> {
    const { status } = await this.#api.read<StoredJob>({
      apiVersion: 'fedbiot.io/v1alpha1',
      kind: 'FedBiOTJob',
      metadata: { namespace, name: job },
    });
    return status ?? {};
  }

  /** Pods of a job's role that have not ended, oldest first. */
  async pods(namespace: string, job: string, role: Role): Promise<readonly V1Pod[]> {
    const selector = Object.entries(selectorOf(job, role)).map(([name, value]) => `${name}=${value}`);
    const { items } = await this.#api.list<V1Pod>(
      'v1',
      'Pod',
      namespace,
      undefined,
      undefined,
      undefined,
      undefined,
      selector.join(','),
    );
    const age = (pod: V1Pod) => pod.metadata?.creationTimestamp?.getTime() ?? 0;
    return items
      .filter(({ status }) => status?.phase === 'Pending' || status?.phase === 'Running')
      .sort((a, b) => age(a) - age(b));
  }

  async pod(namespace: string, name: string): Promise<V1Pod> {
    return await this.#api.read<V1Pod>({ apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name } });
  }

  /** The holder of the operator's lease. */
  async leader(): Promise<string | null> {
    const lease = await this.#api.read<V1Lease>({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { namespace: SYSTEM, name: 'fedbiot-operator' },
    });
    return lease.spec?.holderIdentity || null;
  }
}
