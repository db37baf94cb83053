import Type from 'typebox';
import { environment } from './environment.ts';
import { choice, integer, object } from '../json-schema/fields.ts';
import { imageReference } from './kubernetes-names.ts';
import { placement } from './placement.ts';
import { PodTemplate } from './pod-template.ts';
import { Resources } from './resources.ts';

export const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'] as const;

/** Fields that the worker container has under the same names. The operator copies them. */
export const container = {
  image: Type.Optional(imageReference('Container image; by default the image that the operator was installed with.')),
  imagePullPolicy: Type.Optional(
    choice('When the image is pulled; by default as Kubernetes does for its tag.', PULL_POLICIES),
  ),
  resources: Type.Optional(Resources),
};

/** Settings of the pods of both roles. */
const pod = {
  ...container,
  ...placement,
  env: environment(),
  podTemplate: Type.Optional(PodTemplate),
};

export const ServerPod = object(
  'The pod that holds the full model. Ignored by `fedbiot run`, as are all fields about pods.',
  pod,
  {
    default: {},
  },
);

export const ClientPods = object(
  'The pods that train on the clients’ behalf.',
  {
    ...pod,
    pods: integer('Number of pods that the clients are distributed over.', { default: 1, minimum: 1, maximum: 1000 }),
    minPods: Type.Optional(
      integer(
        'Number of these pods with which Kueue may start the job if its quota does not hold all; if omitted, all are needed.',
        { minimum: 1, maximum: 1000 },
      ),
    ),
    parallelClients: integer('Number of clients that a pod trains concurrently.', {
      default: 1,
      minimum: 1,
      maximum: 256,
    }),
  },
  {
    rules: [
      {
        rule: '!has(self.minPods) || self.minPods <= self.pods',
        message: 'minPods must not exceed pods',
        fieldPath: '.minPods',
      },
    ],
  },
);
