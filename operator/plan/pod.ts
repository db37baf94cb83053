import { placement } from '../../crds/schema/placement.ts';
import { container } from '../../crds/schema/pods.ts';
import { ENV, MOUNT, PORT } from '../../worker/cluster/pod.ts';
import type { JobObject } from '../objects/job-object.ts';
import { asksForGpu } from './gpu.ts';
import { readsHub } from './hub.ts';
import { labelsOf } from '../objects/labels.ts';
import type { Role } from '../../crds/facts/role.ts';
import { namesOf } from '../objects/owned-objects.ts';
import { CREDENTIAL } from '../objects/secret-data.ts';
import { overlay } from './overlay.ts';
import { redisCaOf } from './redis-ca.ts';
import { serverUrl } from './service.ts';
import type { PlanSettings } from './settings.ts';
import { volumesOf } from './volumes.ts';
import { RESTRICTED, WORKER } from './worker-container.ts';
import type { EnvVariable, PodTemplate } from './worker-container.ts';

/** The image's user `fedbiot`. */
const USER = 65_532;

/** Seconds that a pod has to write a checkpoint before it is killed. */
const GRACE_SECONDS = 60;

/** A role's pod: image, volumes and environment, with the job's podTemplate merged into them. */
export function podTemplate(job: JobObject, role: Role, settings: PlanSettings): PodTemplate {
  const own = job.spec[role] ?? {};
  const { volumes, mounts } = volumesOf(job, role, settings);
  const template = overlay(job, role, settings, {
    metadata: { labels: labelsOf(job.metadata.name, role) },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: GRACE_SECONDS,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: USER,
        runAsGroup: USER,
        fsGroup: USER,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      ...copied(own, placement),
      containers: [
        {
          name: WORKER,
          image: settings.image,
          ...copied(own, container),
          command: ['node', 'worker/launch.js'],
          args: [role],
          workingDir: '/app',
          env: environment(job, role, settings),
          ports: [
            ...(role === 'server' ? [{ name: 'bundle', containerPort: PORT.bundle, protocol: 'TCP' }] : []),
            { name: 'metrics', containerPort: PORT.metrics, protocol: 'TCP' },
          ],
          ...PROBES,
          securityContext: RESTRICTED,
          volumeMounts: mounts,
        },
      ],
      volumes,
    },
  });
  return withProvider(template);
}

/** A large model takes minutes to load. After that, a pod that does not answer for minutes is stuck. */
const PROBES = {
  startupProbe: probe('/healthz', { periodSeconds: 5, failureThreshold: 120, timeoutSeconds: 5 }),
  livenessProbe: probe('/healthz', { periodSeconds: 30, failureThreshold: 10, timeoutSeconds: 10 }),
  readinessProbe: probe('/readyz', { periodSeconds: 5, failureThreshold: 3, timeoutSeconds: 5 }),
};

function probe(path: string, timing: Readonly<Record<string, number>>) {
  return { httpGet: { path, port: 'metrics' }, ...timing };
}

/** Lets the worker compute on its GPU, if it has one. */
function withProvider(template: PodTemplate): PodTemplate {
  const containers = template.spec.containers.map((container) =>
    container.name === WORKER && asksForGpu(container.resources)
      ? { ...container, args: [...(container.args ?? []), '--provider', 'cuda'] }
      : container,
  );
  return { ...template, spec: { ...template.spec, containers } };
}

function environment(job: JobObject, role: Role, settings: PlanSettings): EnvVariable[] {
  const { credentials } = namesOf(job.metadata.name);
  const { redis } = job.spec;
  const secret = (name: string, key: string) => ({ valueFrom: { secretKeyRef: { name, key } } });
  const own: EnvVariable[] = [
    {
      name: ENV.redisUrl,
      ...(redis === undefined
        ? secret(credentials, CREDENTIAL.redisUrl[role])
        : secret(redis.urlFrom.name, redis.urlFrom.key)),
    },
    ...(redisCaOf(job, settings) === null ? [] : [{ name: ENV.redisCaFile, value: `${MOUNT.redisCa}/ca.crt` }]),
    { name: ENV.token, ...secret(credentials, CREDENTIAL.token) },
    { name: ENV.uid, value: job.metadata.uid },
    { name: ENV.namespace, value: job.metadata.namespace },
    { name: ENV.pod, valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    ...(role === 'client' ? [{ name: ENV.serverUrl, value: serverUrl(job) }] : []),
    { name: ENV.logLevel, value: settings.logLevel },
    ...(readsHub(job, role) ? Object.entries(settings.hub).map(([name, value]) => ({ name, value })) : []),
    // The root file system is read-only, so files that libraries keep in the home directory go to the scratch volume.
    { name: 'HOME', value: MOUNT.temporary },
  ];
  const users = job.spec[role]?.env ?? [];
  return [...own.filter(({ name }) => !users.some((variable) => variable.name === name)), ...users];
}

/** The values that the job gives for the fields of a group of the schema. */
const copied = (own: Readonly<Record<string, unknown>>, fields: object) =>
  Object.fromEntries(Object.keys(fields).flatMap((name) => (own[name] === undefined ? [] : [[name, own[name]]])));
