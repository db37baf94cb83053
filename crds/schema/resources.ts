import Type from 'typebox';
import { list, map, object, PRESET, string } from '../json-schema/fields.ts';
import { label } from './kubernetes-names.ts';

/** Kubernetes' own form of a quantity, without a sign, as amounts are not negative. */
const QUANTITY = '^([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$';

export const quantity = (description: string, { preset }: { readonly preset?: string } = {}) =>
  Type.Unsafe<number | string>({
    type: ['integer', 'string'],
    'x-kubernetes-int-or-string': true,
    description,
    minimum: 0,
    maxLength: 64,
    pattern: QUANTITY,
    ...(preset === undefined ? {} : { [PRESET]: preset }),
  });

const amounts = (description: string) =>
  Type.Optional(map(description, quantity('An amount: 2, 500m, 16Gi.'), { maxProperties: 32 }));

const Claim = object('A reference to a resource claim of the pod.', {
  name: label(
    'Name of the claim in the pod. A claim named gpu or gpu-… provides GPUs, and the worker computes on them.',
  ),
  request: Type.Optional(
    string('Request within the claim; if omitted, all its devices.', { minLength: 1, maxLength: 127 }),
  ),
});

export const Resources = object(
  'Compute resources of the worker container: cpu, memory, ephemeral-storage, nvidia.com/gpu, ….',
  {
    limits: amounts('Maximum amounts. With nvidia.com/gpu, the worker computes on the GPU.'),
    requests: amounts('Amounts that the scheduler reserves; by default the limits.'),
    claims: Type.Optional(
      list('Claims of podTemplate.spec.resourceClaims whose devices the container may use.', Claim, {
        maxItems: 32,
        mapKeys: ['name'],
      }),
    ),
  },
);
