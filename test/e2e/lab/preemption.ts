import { parseDocument } from 'yaml';
import type { Lab } from '../../cluster/lab/start.ts';

const API = 'kueue.x-k8s.io/v1beta2';

/** Processors of the queue: enough for one job. */
const QUOTA = '300m';

/** A queue of Kueue in one namespace, which a more urgent Workload can take over. */
export class PreemptedQueue {
  readonly #lab: Lab;
  readonly #namespace: string;

  constructor(lab: Lab, namespace: string) {
    this.#lab = lab;
    this.#namespace = namespace;
  }

  async create(): Promise<void> {
    const flavors = [{ name: 'any', resources: [{ name: 'cpu', nominalQuota: QUOTA }] }];
    const spec = {
      namespaceSelector: {},
      preemption: { withinClusterQueue: 'LowerPriority' },
      resourceGroups: [{ coveredResources: ['cpu'], flavors }],
    };
    await this.#apply({ kind: 'ResourceFlavor', metadata: { name: 'any' } });
    await this.#apply({ kind: 'ClusterQueue', metadata: { name: 'all' }, spec });
    const metadata = { name: 'team', namespace: this.#namespace };
    await this.#apply({ kind: 'LocalQueue', metadata, spec: { clusterQueue: 'all' } });
  }

  /** The manifest as a job that waits in the queue. */
  queued(manifest: string): string {
    const document = parseDocument(manifest);
    document.setIn(['metadata', 'labels'], { 'kueue.x-k8s.io/queue-name': 'team' });
    for (const role of ['server', 'client']) document.setIn(['spec', role, 'resources'], { requests: { cpu: '100m' } });
    return document.toString();
  }

  /** Takes the whole quota. */
  async takeOver(): Promise<void> {
    const template = { spec: { containers: [{ name: 'a', resources: { requests: { cpu: QUOTA } } }] } };
    const podSets = [{ name: 'main', count: 1, template }];
    const metadata = { name: 'urgent', namespace: this.#namespace };
    await this.#apply({ kind: 'Workload', metadata, spec: { queueName: 'team', priority: 100, podSets } });
  }

  async giveBack(): Promise<void> {
    await this.#lab.kubectl(['delete', 'workload', 'urgent', `--namespace=${this.#namespace}`]);
  }

  async #apply(object: object): Promise<void> {
    await this.#lab.kubectl(['apply', '--filename=-'], JSON.stringify({ apiVersion: API, ...object }));
  }
}
