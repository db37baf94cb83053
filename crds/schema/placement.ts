import Type from 'typebox';
import { foreign, list, map, object, string } from '../json-schema/fields.ts';
import { objectName } from './kubernetes-names.ts';
import { tolerations } from './toleration.ts';

const LABEL_VALUE = '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$';

/**
 * Fields of a pod that decide where it runs, and which credentials pull its images. The pod has them under the same
 * names, and the operator copies them.
 */
export const placement = {
  imagePullSecrets: Type.Optional(
    list(
      'Secrets with credentials for the image registry.',
      object('A Secret with registry credentials.', { name: objectName('Name of the Secret.') }),
      {
        maxItems: 16,
        mapKeys: ['name'],
      },
    ),
  ),
  nodeSelector: Type.Optional(
    map('Labels that a node must have.', string('Value of the label.', { maxLength: 63, pattern: LABEL_VALUE }), {
      maxProperties: 32,
    }),
  ),
  tolerations: tolerations(),
  affinity: Type.Optional(
    foreign('Affinity of the pods: nodeAffinity, podAffinity, podAntiAffinity as in the Pod API.'),
  ),
  priorityClassName: Type.Optional(objectName('Priority class of the pods.')),
  runtimeClassName: Type.Optional(
    objectName('Runtime class, if the cluster has several container runtimes (nvidia, kata, …).'),
  ),
};
