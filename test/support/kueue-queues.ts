import { RESOURCE } from '../../operator/objects/resources.ts';
import { reader, Workload } from '../../operator/kube/read-object.ts';
import type { OperatorLab } from './operator-lab.ts';
import { until } from './until.ts';

const API = 'kueue.x-k8s.io/v1beta2';
const SECONDS = 60;
const readWorkload = reader(RESOURCE.workload, Workload);

/** Requests of the pods of these jobs: with one client pod, a job needs 1200m. */
const CPU = { server: '500m', client: '700m' };
const asks = (cpu: string) => ({ resources: { requests: { cpu } } });

/** A namespace of jobs with a queue of its own, named `team`. */
export class QueueLab {
  readonly lab: OperatorLab;
  readonly namespace: string;

  private constructor(lab: OperatorLab, namespace: string) {
    this.lab = lab;
    this.namespace = namespace;
  }

  /** `quota`: of processors; `flavor`: labels and tolerations of its nodes. */
  static async create(lab: OperatorLab, namespace: string, quota: string, flavor: object = {}): Promise<QueueLab> {
    await lab.namespace(namespace);
    const flavors = [{ name: namespace, resources: [{ name: 'cpu', nominalQuota: quota }] }];
    for (const object of [
      { kind: 'ResourceFlavor', metadata: { name: namespace }, spec: flavor },
      {
        kind: 'ClusterQueue',
        metadata: { name: namespace },
        spec: {
          namespaceSelector: {},
          preemption: { withinClusterQueue: 'LowerPriority' },
          resourceGroups: [{ coveredResources: ['cpu'], flavors }],
        },
      },
      { kind: 'LocalQueue', metadata: { name: 'team', namespace }, spec: { clusterQueue: namespace } },
    ])
      await lab.apply({ apiVersion: API, ...object });
    return new QueueLab(lab, namespace);
  }

  /** Creates a job with the queue's label. */
  async job(name: string, spec: object = {}, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    const roles = { server: asks(CPU.server), client: asks(CPU.client) };
    const metadata = { labels: { 'kueue.x-k8s.io/queue-name': 'team', ...labels } };
    await this.lab.createJob(this.namespace, name, { ...roles, ...spec }, metadata);
  }

  async patchJob(name: string, spec: object): Promise<void> {
    const patch = JSON.stringify({ spec });
    await this.lab.kubectl('patch', 'fbj', name, '--namespace', this.namespace, '--type=merge', '--patch', patch);
  }

  /** HoldAndDrain, Hold or None. */
  async stop(stopPolicy: string): Promise<void> {
    const patch = JSON.stringify({ spec: { stopPolicy } });
    await this.lab.kubectl('patch', 'clusterqueue', this.namespace, '--type=merge', '--patch', patch);
  }

  async workload(job: string): Promise<Workload | null> {
    return readWorkload(await this.lab.get(RESOURCE.workload, this.namespace, `fedbiotjob-${job}`));
  }

  /** Waits until the job's Workload has a condition with this status, or with this reason. */
  workloadIs(job: string, type: string, status: 'True' | 'False', reason?: string): Promise<Workload> {
    let seen: Workload | null = null;
    return until(
      `the Workload of ${this.namespace}/${job} is ${type} ${status} ${reason ?? ''}`,
      SECONDS,
      async () => {
        seen = await this.workload(job);
        const found = seen?.status?.conditions?.find((condition) => condition.type === type);
        return found?.status === status && (reason ?? found.reason) === found.reason ? seen : null;
      },
      () => seen?.status ?? 'no Workload',
    );
  }

  /** Waits until the Job controller has made the pods of both roles, and plays that they run. */
  async runs(job: string): Promise<void> {
    for (const role of ['server', 'client'] as const) await this.lab.play(this.namespace, job, role, { kind: 'runs' });
    await this.lab.jobIn('Running', this.namespace, job);
  }

  /** Plays that the pods of both roles end with a success. */
  async succeeds(job: string): Promise<void> {
    for (const role of ['server', 'client'] as const)
      await this.lab.play(this.namespace, job, role, { kind: 'ends', exitCode: 0 });
    await this.lab.jobIn('Succeeded', this.namespace, job);
  }

  /** Names of batch Jobs. */
  async batchJobs(): Promise<string[]> {
    const names = await this.lab.kubectl('get', 'jobs', '--namespace', this.namespace, '--output', 'name');
    return names.split('\n').flatMap((line) => (line === '' ? [] : [line.slice(line.indexOf('/') + 1)]));
  }

  /** Waits until the job has no batch Jobs and no pods. */
  gone(job: string): Promise<true> {
    return until(`${this.namespace}/${job} has no pods`, SECONDS, async () => {
      const jobs = (await this.batchJobs()).filter((name) => name.startsWith(`${job}-`));
      return jobs.length === 0 && (await this.lab.pods(this.namespace, job)).length === 0 ? true : null;
    });
  }
}
