import Type from 'typebox';
import { environment } from './environment.ts';
import { choice, foreign, foreignNamed, integer, list, map, object, string } from '../json-schema/fields.ts';
import { label, objectName } from './kubernetes-names.ts';
import { placement } from './placement.ts';
import { Resources } from './resources.ts';

const named = (what: string, description: string) =>
  Type.Optional(
    list(`${description} Fields as in the Pod API.`, foreignNamed(`${what}.`, label('Name within the pod.')), {
      maxItems: 32,
      mapKeys: ['name'],
    }),
  );

/**
 * Fields that an init container may have. The operator checks them, as the schema leaves the items of initContainers to
 * the Pod API.
 */
export const INIT_CONTAINER_FIELDS: readonly string[] = [
  'name',
  'args',
  'command',
  'env',
  'image',
  'imagePullPolicy',
  'livenessProbe',
  'ports',
  'readinessProbe',
  'resources',
  'restartPolicy',
  'startupProbe',
  'volumeMounts',
  'workingDir',
];

const Worker = object('Additions to the worker container.', {
  name: choice('Name of the container: worker.', ['worker']),
  env: environment(),
  resources: Type.Optional(Resources),
  volumeMounts: Type.Optional(
    list(
      'Additional volume mounts: name of a volume, mountPath, ….',
      foreignNamed('A mount of a volume.', label('Name of the volume.')),
      { maxItems: 32 },
    ),
  ),
});

const PodSpec = object('Fields of the pod spec that can be set. The operator sets all others.', {
  containers: Type.Optional(
    list('Additions to the worker container, by its name.', Worker, { maxItems: 1, mapKeys: ['name'] }),
  ),
  initContainers: named('A container', 'Init containers, and sidecars (restartPolicy Always).'),
  volumes: named('A volume of the pod', 'Additional volumes.'),
  ...placement,
  preemptionPolicy: Type.Optional(
    choice('Whether the pods may preempt pods of lower priority.', ['PreemptLowerPriority', 'Never']),
  ),
  resourceClaims: named('A resource claim', 'Claims for dynamic resource allocation.'),
  topologySpreadConstraints: Type.Optional(
    list(
      'How the pods are spread across topology domains. Fields as in the Pod API.',
      foreign('A topology spread constraint.'),
      { maxItems: 16 },
    ),
  ),
  schedulerName: Type.Optional(objectName('Scheduler that assigns the pods to nodes.')),
  terminationGracePeriodSeconds: Type.Optional(
    integer('Seconds that a pod has to write its checkpoint and exit before it is killed.', {
      minimum: 0,
      maximum: 86_400,
    }),
  ),
  dnsPolicy: Type.Optional(
    choice('DNS policy of the pods.', ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None']),
  ),
  dnsConfig: Type.Optional(foreign('Name servers, search domains and options. Fields as in the Pod API.')),
  hostAliases: Type.Optional(
    list('Additional lines of /etc/hosts. Fields as in the Pod API.', foreign('A line: ip, hostnames.'), {
      maxItems: 64,
    }),
  ),
});

const words = (description: string) =>
  Type.Optional(map(description, string('Value of the entry.', { maxLength: 262_144 }), { maxProperties: 64 }));

/**
 * What a job may lay over its pods. The operator allows exactly these fields and merges them into the pod, so a field
 * belongs here only if it cannot weaken the isolation between the roles or the security of the pod.
 */
export const PodTemplate = object(
  'Overlay for the pod template that the operator creates, by strategic merge: maps and named lists are merged, other fields replaced.',
  {
    metadata: Type.Optional(
      object('Labels and annotations of the pods.', {
        labels: words('Additional labels; those that the operator sets cannot be changed.'),
        annotations: words(
          'Additional annotations: known ones, and those whose keys have no dot and no slash. Others could weaken the security of the pod.',
        ),
      }),
    ),
    spec: Type.Optional(PodSpec),
  },
);
