import Type from 'typebox';
import { boolean, choice, list, object, string } from '../json-schema/fields.ts';
import { dataKey, objectName } from './kubernetes-names.ts';

const keyOf = (kind: 'Secret' | 'ConfigMap') =>
  object(`A key of a ${kind} in the job’s namespace.`, {
    name: objectName(`Name of the ${kind}.`),
    key: dataKey(`Key in the ${kind}.`),
    optional: Type.Optional(boolean(`Whether the pod starts even if the ${kind} or the key is missing.`)),
  });

const ValueFrom = object(
  'Source of the value.',
  {
    secretKeyRef: Type.Optional(keyOf('Secret')),
    configMapKeyRef: Type.Optional(keyOf('ConfigMap')),
    fieldRef: Type.Optional(
      object('A field of the pod.', {
        apiVersion: Type.Optional(choice('Version of the pod’s API.', ['v1'])),
        fieldPath: string('Path of the field: metadata.name, spec.nodeName, status.podIP, …', {
          minLength: 1,
          maxLength: 253,
        }),
      }),
    ),
  },
  {
    rules: [
      {
        rule: '[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].filter(given, given).size() == 1',
        message: 'must have exactly one of secretKeyRef, configMapKeyRef and fieldRef',
      },
    ],
  },
);

const EnvVar = object(
  'An environment variable.',
  {
    name: string('Name of the variable.', {
      maxLength: 253,
      pattern: '^[-._a-zA-Z][-._a-zA-Z0-9]*$',
      rules: [
        {
          rule: "!self.startsWith('FEDBIOT_')",
          message: 'names that begin with FEDBIOT_ are reserved for the operator',
        },
      ],
    }),
    value: Type.Optional(string('Value of the variable. Use valueFrom for secrets.', { maxLength: 32_768 })),
    valueFrom: Type.Optional(ValueFrom),
  },
  {
    rules: [
      {
        rule: '!has(self.value) || !has(self.valueFrom)',
        message: 'must have value or valueFrom, not both',
        fieldPath: '.value',
      },
    ],
  },
);

export const environment = () =>
  Type.Optional(
    list('Additional environment variables of the worker container.', EnvVar, { maxItems: 64, mapKeys: ['name'] }),
  );
