import Type from 'typebox';
import { environment } from './environment.ts';
import { choice, foreign, foreignNamed, integer, list, map, object, string } from '../json-schema/fields.ts';
import { label, objectName } from './kubernetes-names.ts';
import { placement } from './placement.ts';
import { Resources } from './resources.ts';

const named = (what: string, description: string) =>
  Type.Optional(
    list(`${description} Fields as in the pod’s API.`, foreignNamed(`${what}.`, label('Name within the pod.')), {
      maxItems: 32,
      mapKeys: ['name'],
    }),
  );

const Worker = object('Additions to the worker container.', {
  name: choice('The container that is added to.', ['worker']),
  env: environment(),
  resources: Type.Optional(Resources),
  volumeMounts: Type.Optional(
    list(
      'Further mounts: name of a volume, mountPath, ….',
      foreignNamed('A mount of a volume.', label('Name of the volume.')),
      { maxItems: 32 },
    ),
  ),
});

const PodSpec = object('What may be laid over the spec. The rest of it is the operator’s.', {
  containers: Type.Optional(list('The container to add to.', Worker, { maxItems: 1, mapKeys: ['name'] })),
  initContainers: named('A container', 'Containers that run before the worker, or beside it (restartPolicy Always).'),
  volumes: named('A volume of the pod', 'Further volumes.'),
  ...placement,
  preemptionPolicy: Type.Optional(
    choice('Whether the pods may push out others of lower priority.', ['PreemptLowerPriority', 'Never']),
  ),
  resourceClaims: named('A claim on devices', 'Devices asked for by dynamic resource allocation.'),
  topologySpreadConstraints: Type.Optional(
    list(
      'How the pods are spread over the nodes. Fields as in the pod’s API.',
      foreign('A constraint on the spread.'),
      { maxItems: 16 },
    ),
  ),
  schedulerName: Type.Optional(objectName('The scheduler that places the pods.')),
  terminationGracePeriodSeconds: Type.Optional(
    integer('Seconds a pod gets to write its checkpoint and go, before it is killed.', { minimum: 0, maximum: 86_400 }),
  ),
  dnsPolicy: Type.Optional(
    choice('How names are resolved.', ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None']),
  ),
  dnsConfig: Type.Optional(foreign('Name servers, search domains and options. Fields as in the pod’s API.')),
  hostAliases: Type.Optional(
    list('Further lines of /etc/hosts. Fields as in the pod’s API.', foreign('A line: ip, hostnames.'), {
      maxItems: 64,
    }),
  ),
});

const words = (description: string) =>
  Type.Optional(map(description, string('The value.', { maxLength: 262_144 }), { maxProperties: 64 }));

export const PodTemplate = object(
  'Laid over the pod template the operator makes, by strategic merge: maps and named lists grow, the rest is replaced.',
  {
    metadata: Type.Optional(
      object('Labels and annotations of the pods.', {
        labels: words('Further labels; those the operator sets stay.'),
        annotations: words(
          'Further annotations: of known ones, and with keys without dot and slash. Others could undo the pod’s security.',
        ),
      }),
    ),
    spec: Type.Optional(PodSpec),
  },
);
