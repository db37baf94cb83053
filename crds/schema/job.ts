import Type from 'typebox';
import { choice, object } from '../json-schema/fields.ts';
import { label } from './kubernetes-names.ts';
import { Spec } from './spec.ts';

/** CronJob's limit: a 63 character label has room for the suffixes of the objects created for the job. */
const NAME_MAX_LENGTH = 52;

const words = (description: string) => Type.Optional(Type.Record(Type.String(), Type.String(), { description }));

export const Metadata = object('The job’s identity.', {
  name: label(
    `Name of the job: at most ${NAME_MAX_LENGTH} lower-case letters, digits and dashes, starting and ending with a letter or digit.`,
    NAME_MAX_LENGTH,
  ),
  namespace: Type.Optional(label('Kubernetes namespace; not needed by `fedbiot run`.', 63)),
  labels: words('Kubernetes labels.'),
  annotations: words('Kubernetes annotations.'),
});

export const GROUP = 'fedbiot.io';
export const VERSION = 'v1alpha1';
export const KIND = 'FedBiOTJob';
export const DESCRIPTION = 'A federated fine-tuning of a language model whose full weights stay with the server.';

/** A job as a user writes it. */
export const Job = object(DESCRIPTION, {
  apiVersion: choice('Version of the API.', [`${GROUP}/${VERSION}`]),
  kind: choice('Kind of the object.', [KIND]),
  metadata: Metadata,
  spec: Spec,
});
