import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import Type from 'typebox';
import Value from 'typebox/value';
import { GROUP, KIND, VERSION } from '../../crds/schema/job.ts';
import { ApiClient } from '../../operator/kube/api-client.ts';
import { isApiError } from '../../operator/kube/api-error.ts';
import { loadKubeConfig } from '../../operator/kube/kube-config.ts';
import { jobReader } from '../../operator/kube/read-job.ts';
import { BatchJob, Pod, reader } from '../../operator/kube/read-object.ts';
import { OWNED_RESOURCES } from '../../operator/objects/owned-objects.ts';
import { collectionPath, objectPath, RESOURCE } from '../../operator/objects/resources.ts';
import type { Resource } from '../../operator/objects/resources.ts';
import { createLog } from '../../operator/process/log.ts';
import { selectorOf } from '../../operator/objects/labels.ts';
import type { Role } from '../../crds/facts/role.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import { SYSTEM } from './chart.ts';
import { startControlPlane } from './control-plane.ts';
import type { ControlPlane, ControlPlaneOptions } from './control-plane.ts';
import { operatorAccount, operatorIn } from './operator-access.ts';
import { OperatorProcess } from './operator-process.ts';
import type { OperatorOptions } from './operator-process.ts';
import { until } from './until.ts';

const SECONDS = 60;

const quiet = createLog('error', { write: () => {} });
const readJob = jobReader(() => null, quiet);
const readPod = reader(RESOURCE.pod, Pod);
const readBatchJob = reader(RESOURCE.job, BatchJob);
const List = Type.Object({ items: Type.Array(Type.Unknown()) });

/** The status that a kubelet would report for a pod's worker. */
export type PodTurn =
  | { readonly kind: 'runs' }
  | { readonly kind: 'waits'; readonly reason: string; readonly message: string }
  /** `reason`: the kubelet's, Error unless it was a success. */
  | { readonly kind: 'ends'; readonly exitCode: number; readonly message?: string; readonly reason?: string }
  /** Beside a container `mesh-proxy`, which runs on. */
  | { readonly kind: 'lingers'; readonly exitCode: number; readonly message: string }
  | { readonly kind: 'evicted' };

/** A control plane with controllers and without nodes, the operator's manifests, and a test in place of the kubelet. */
export class OperatorLab {
  readonly plane: ControlPlane;
  readonly api: ApiClient;
  readonly #t: Pick<Test, 'teardown'>;

  constructor(t: Pick<Test, 'teardown'>, plane: ControlPlane) {
    this.#t = t;
    this.plane = plane;
    this.api = new ApiClient({ kubeConfig: loadKubeConfig(plane.kubeconfig), request: () => {} });
    t.teardown(async () => {
      this.api.close();
      await plane.close();
    });
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return this.plane.kubectl(args);
  }

  apply(manifest: object): Promise<string> {
    return this.plane.kubectl(['apply', '--filename', '-'], manifest);
  }

  /** A bearer token of a ServiceAccount. */
  async tokenOf(namespace: string, account: string): Promise<string> {
    return (await this.kubectl('create', 'token', account, '--namespace', namespace)).trim();
  }

  /** Starts the operator with its own ServiceAccount, on a free port. */
  async operator(
    redisUrl: string | null,
    { args = [], environment = {} }: OperatorOptions = {},
    t = this.#t,
  ): Promise<OperatorProcess> {
    const kubeconfig = this.plane.kubeconfigFor(await this.tokenOf(SYSTEM, 'fedbiot-operator'));
    const secretKey = join(this.plane.folder, 'secret-key');
    writeFileSync(secretKey, 'a key of the tests, and of nothing else');
    return new OperatorProcess(t, {
      args: [
        '--kubeconfig',
        kubeconfig,
        '--worker-image',
        'fedbiot:test',
        '--secret-key-file',
        secretKey,
        '--lease-namespace',
        SYSTEM,
        '--port',
        '0',
        '--log-level',
        'debug',
        ...args,
      ],
      environment: { ...(redisUrl === null ? {} : { FEDBIOT_REDIS_URL: redisUrl }), ...environment },
    });
  }

  async namespace(name: string, labels: Readonly<Record<string, string>> = {}): Promise<string> {
    await this.api.json('POST', '/api/v1/namespaces', {
      body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } },
    });
    return name;
  }

  create(resource: Resource, namespace: string, object: object): Promise<unknown> {
    const { apiVersion, kind } = resource;
    return this.api.json('POST', collectionPath(resource, namespace), { body: { apiVersion, kind, ...object } });
  }

  /** A small job; `spec` replaces or adds sections. */
  createJob(namespace: string, name: string, spec: object = {}, metadata: object = {}): Promise<unknown> {
    return this.api.json('POST', collectionPath(RESOURCE.fedbiotJob, namespace), {
      body: {
        apiVersion: `${GROUP}/${VERSION}`,
        kind: KIND,
        metadata: { name, ...metadata },
        spec: {
          model: { uri: 'model' },
          data: { train: { uri: 'train.jsonl' }, public: { uri: 'public.jsonl' } },
          federation: { rounds: 3 },
          ...spec,
        },
      },
    });
  }

  async deleteJob(namespace: string, name: string): Promise<void> {
    await this.api.json('DELETE', objectPath(RESOURCE.fedbiotJob, namespace, name));
  }

  /** null: it does not exist. */
  async get(resource: Resource, namespace: string, name: string): Promise<unknown> {
    try {
      return await this.api.json('GET', objectPath(resource, namespace, name));
    } catch (error) {
      if (isApiError(error, 404)) return null;
      throw error;
    }
  }

  async job(namespace: string, name: string): Promise<JobObject | null> {
    return readJob(await this.get(RESOURCE.fedbiotJob, namespace, name))?.job ?? null;
  }

  async batchJob(namespace: string, name: string): Promise<BatchJob | null> {
    return readBatchJob(await this.get(RESOURCE.job, namespace, name));
  }

  /** Waits until the job is as expected. */
  async jobThat(
    what: string,
    namespace: string,
    name: string,
    holds: (job: JobObject) => boolean,
    seconds = SECONDS,
  ): Promise<JobObject> {
    let seen: JobObject | null = null;
    return until(
      `${namespace}/${name} ${what}`,
      seconds,
      async () => {
        seen = await this.job(namespace, name);
        return seen !== null && holds(seen) ? seen : null;
      },
      () => seen?.status ?? 'no status',
    );
  }

  jobIn(phase: string, namespace: string, name: string): Promise<JobObject> {
    return this.jobThat(`is ${phase}`, namespace, name, ({ status }) => status?.phase === phase);
  }

  /** The objects created for a job, as `Kind name`. */
  async objectsOf(namespace: string, job: string): Promise<string[]> {
    const found = [];
    for (const resource of OWNED_RESOURCES) {
      const items = await this.#list(resource, namespace, selectorOf(job)).catch((error: unknown) => {
        // Kueue is not installed in most labs.
        if (isApiError(error, 404)) return [];
        throw error;
      });
      for (const item of items) found.push(`${resource.kind} ${Value.Parse(Named, item).metadata.name}`);
    }
    return found.sort();
  }

  async pods(namespace: string, job: string, role?: Role): Promise<Pod[]> {
    return (await this.#list(RESOURCE.pod, namespace, selectorOf(job, role))).flatMap((item) => readPod(item) ?? []);
  }

  /** Waits for the role's pod that has not ended. */
  pod(namespace: string, job: string, role: Role): Promise<Pod> {
    let seen: JobObject | null = null;
    return until(
      `${namespace}/${job} has a ${role} pod`,
      SECONDS,
      async () => {
        const pods = await this.pods(namespace, job, role);
        const pod = pods.find(
          ({ metadata, status }) =>
            metadata.deletionTimestamp === undefined && status?.phase !== 'Failed' && status?.phase !== 'Succeeded',
        );
        if (pod === undefined) seen = await this.job(namespace, job);
        return pod ?? null;
      },
      () => seen?.status ?? 'no status',
    );
  }

  /** Writes the status that a kubelet would report, and returns the pod. */
  async play(namespace: string, job: string, role: Role, turn: PodTurn): Promise<Pod> {
    const pod = await this.pod(namespace, job, role);
    await this.api.json('PATCH', `${objectPath(RESOURCE.pod, namespace, pod.metadata.name)}/status`, {
      contentType: 'application/strategic-merge-patch+json',
      body: { status: statusOf(turn) },
    });
    return pod;
  }

  async #list(
    resource: Resource,
    namespace: string,
    labels: Readonly<Record<string, string>>,
  ): Promise<readonly unknown[]> {
    const labelSelector = Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(',');
    return Value.Parse(
      List,
      await this.api.json('GET', collectionPath(resource, namespace), { query: { labelSelector } }),
    ).items;
  }
}

const Named = Type.Object({ metadata: Type.Object({ name: Type.String() }) });

export async function startLab(
  t: Pick<Test, 'teardown'>,
  options: Pick<ControlPlaneOptions, 'auditLog'> = {},
): Promise<OperatorLab> {
  const lab = new OperatorLab(t, await startControlPlane({ controllers: true, ...options }));
  await lab.namespace(SYSTEM);
  for (const object of [operatorAccount(), operatorIn(null)]) await lab.apply(object);
  return lab;
}

function statusOf(turn: PodTurn): object {
  const now = new Date().toISOString();
  const worker = (state: object) => ({
    name: 'worker',
    image: 'fedbiot:test',
    imageID: 'fedbiot:test',
    restartCount: 0,
    ready: 'running' in state,
    state,
  });
  switch (turn.kind) {
    case 'runs':
      return {
        phase: 'Running',
        conditions: ['PodScheduled', 'ContainersReady', 'Ready'].map((type) => ({ type, status: 'True' })),
        containerStatuses: [worker({ running: { startedAt: now } })],
      };
    case 'waits':
      return {
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'True', reason: null, message: null }],
        containerStatuses: [worker({ waiting: { reason: turn.reason, message: turn.message } })],
      };
    case 'ends':
      return {
        phase: turn.exitCode === 0 ? 'Succeeded' : 'Failed',
        containerStatuses: [
          worker({
            terminated: {
              exitCode: turn.exitCode,
              reason: turn.reason ?? (turn.exitCode === 0 ? 'Completed' : 'Error'),
              finishedAt: now,
              startedAt: now,
              ...(turn.message === undefined ? {} : { message: turn.message }),
            },
          }),
        ],
      };
    case 'lingers':
      return {
        phase: 'Running',
        containerStatuses: [
          worker({
            running: null,
            terminated: { exitCode: turn.exitCode, finishedAt: now, startedAt: now, message: turn.message },
          }),
          { ...worker({ running: { startedAt: now } }), name: 'mesh-proxy' },
        ],
      };
    case 'evicted':
      return {
        phase: 'Failed',
        reason: 'Evicted',
        message: 'The node was low on resource: memory.',
        conditions: [
          {
            type: 'DisruptionTarget',
            status: 'True',
            reason: 'TerminationByKubelet',
            message: 'The node was low on resource: memory.',
            lastTransitionTime: now,
          },
        ],
      };
  }
}
