import Type from 'typebox';
import { map, object, PRESET } from './fields.ts';

/** Kubernetes' own form of a quantity, without a sign: no container asks for less than nothing. */
export const QUANTITY = '^([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$';

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

export const Resources = object('What the worker container may use, by resource: cpu, memory, ephemeral-storage, nvidia.com/gpu, ….', {
  limits: amounts('The most it gets. Where nvidia.com/gpu is among them, the worker computes on the GPU.'),
  requests: amounts('What the scheduler sets aside for it; by default the limits.'),
});
