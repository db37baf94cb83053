import Type from 'typebox';
import { list, map, object, PRESET, string } from '../json-schema/fields.ts';
import { label } from './kubernetes-names.ts';

/** Kubernetes' own form of a quantity, without a sign: no container asks for less than nothing. */
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

const Claim = object('Devices of a claim of the pod.', {
  name: label('Name of the claim in the pod. One called gpu, or gpu-…, is of GPUs: the worker computes on them.'),
  request: Type.Optional(
    string('The request in it whose devices are meant; without it, all.', { minLength: 1, maxLength: 127 }),
  ),
});

export const Resources = object(
  'What the worker container may use, by resource: cpu, memory, ephemeral-storage, nvidia.com/gpu, ….',
  {
    limits: amounts('The most it gets. Where nvidia.com/gpu is among them, the worker computes on the GPU.'),
    requests: amounts('What the scheduler sets aside for it; by default the limits.'),
    claims: Type.Optional(
      list('Devices it gets of those that podTemplate.spec.resourceClaims asks for.', Claim, {
        maxItems: 32,
        mapKeys: ['name'],
      }),
    ),
  },
);
