import Type from 'typebox';
import { environment } from './environment.ts';
import { choice, integer, object } from '../json-schema/fields.ts';
import { imageReference } from './kubernetes-names.ts';
import { placement } from './placement.ts';
import { PodTemplate } from './pod-template.ts';
import { Resources } from './resources.ts';

export const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'] as const;

/** What both roles' pods can be told. */
const pod = {
  image: Type.Optional(imageReference('Container image; by default the one the operator was installed with.')),
  imagePullPolicy: Type.Optional(
    choice('When the image is fetched; by default as Kubernetes does for its tag.', PULL_POLICIES),
  ),
  resources: Type.Optional(Resources),
  ...placement,
  env: environment(),
  podTemplate: Type.Optional(PodTemplate),
};

export const ServerPod = object(
  'The pod that holds the full model. `fedbiot run` passes it over, as it does all that concerns pods.',
  pod,
  {
    default: {},
  },
);

export const ClientPods = object('The pods that train for the clients.', {
  ...pod,
  pods: integer('Pods that share the clients between them.', { default: 1, minimum: 1, maximum: 1000 }),
  parallelClients: integer('Clients a pod trains at a time.', { default: 1, minimum: 1, maximum: 256 }),
});
