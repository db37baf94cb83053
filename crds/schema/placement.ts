import Type from 'typebox';
import { foreign, list, map, object, string } from '../json-schema/fields.ts';
import { objectName } from './kubernetes-names.ts';
import { tolerations } from './toleration.ts';

const LABEL_VALUE = '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$';

/** Fields of a pod that say where it runs, and on whose credentials its images are fetched. */
export const placement = {
  imagePullSecrets: Type.Optional(
    list(
      'Credentials for the image’s registry.',
      object('A Secret with credentials.', { name: objectName('Name of the Secret.') }),
      {
        maxItems: 16,
        mapKeys: ['name'],
      },
    ),
  ),
  nodeSelector: Type.Optional(
    map('Labels a node must have.', string('Value of the label.', { maxLength: 63, pattern: LABEL_VALUE }), {
      maxProperties: 32,
    }),
  ),
  tolerations: tolerations(),
  affinity: Type.Optional(
    foreign(
      'Nodes and pods to be near to, or far from: nodeAffinity, podAffinity, podAntiAffinity as in the pod’s API.',
    ),
  ),
  priorityClassName: Type.Optional(objectName('Class that says whose pods go first.')),
  runtimeClassName: Type.Optional(objectName('Container runtime, where the cluster has several (nvidia, kata, …).')),
};
