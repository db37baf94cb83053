import Type from 'typebox';
import { choice, integer, list, object, string } from '../json-schema/fields.ts';

const Toleration = object(
  'A toleration of node taints.',
  {
    key: Type.Optional(
      string('Key of the taint; if omitted, any key (operator Exists).', { minLength: 1, maxLength: 317 }),
    ),
    operator: Type.Optional(
      choice('Equal: the taint’s value is `value`. Exists: any value. Default: Equal.', ['Exists', 'Equal']),
    ),
    value: Type.Optional(string('Value of the taint.', { maxLength: 63 })),
    effect: Type.Optional(
      choice('Effect of the taint; if omitted, any effect.', ['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
    ),
    tolerationSeconds: Type.Optional(
      integer('Seconds for which a taint with effect NoExecute is tolerated; if omitted, forever.', {
        minimum: 0,
        maximum: 2_147_483_647,
      }),
    ),
  },
  {
    rules: [
      {
        rule: "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
        message: 'key is required, unless operator is Exists',
        fieldPath: '.key',
      },
      {
        rule: "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
        message: 'value must be left out where operator is Exists',
        fieldPath: '.value',
      },
      {
        rule: "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        message: 'tolerationSeconds is for effect NoExecute',
        fieldPath: '.tolerationSeconds',
      },
    ],
  },
);

export const tolerations = () => Type.Optional(list('Taints that the pods tolerate.', Toleration, { maxItems: 64 }));
