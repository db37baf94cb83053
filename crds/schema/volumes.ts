import Type from 'typebox';
import { boolean, choice, object, string } from '../json-schema/fields.ts';
import { imageReference, objectName } from './kubernetes-names.ts';
import { PULL_POLICIES } from './pods.ts';
import { quantity } from './resources.ts';

const claimed = Type.Optional(
  object('An existing PersistentVolumeClaim.', {
    claimName: objectName('Name of the claim, in the job’s namespace.'),
    readOnly: Type.Optional(boolean('Whether the claim is mounted read-only.')),
  }),
);

const onNode = Type.Optional(
  object('A folder of the node that the pod runs on, for nodes with a shared file system and for tests.', {
    path: string('Absolute path of the folder; it must exist.', {
      maxLength: 4096,
      pattern: '^/',
      rules: [{ rule: "!self.matches('(^|/)\\\\.\\\\.(/|$)')", message: 'must not contain ..' }],
    }),
  }),
);

const exactlyOne = (names: readonly string[]) => ({
  rule: `[${names.map((name) => `has(self.${name})`).join(', ')}].filter(given, given).size() == 1`,
  message: `must have exactly one of ${names.slice(0, -1).join(', ')} and ${names.at(-1)}`,
});

const source = (what: string) =>
  object(
    `${what} Exactly one of its fields must be given. Mounted read-only.`,
    {
      persistentVolumeClaim: claimed,
      hostPath: onNode,
      image: Type.Optional(
        object('The files of a container image (Kubernetes 1.33 or later).', {
          reference: imageReference('Reference of the image.'),
          pullPolicy: Type.Optional(
            choice('When the image is pulled; by default as Kubernetes does for its tag.', PULL_POLICIES),
          ),
        }),
      ),
    },
    { rules: [exactlyOne(['persistentVolumeClaim', 'hostPath', 'image'])] },
  );

export const Volume = source('A volume.');

export const OutputVolume = object(
  'Volume for checkpoints, metrics, the report and the finished adapter. Exactly one of its fields must be given.',
  {
    persistentVolumeClaim: Type.Optional(
      object('An existing PersistentVolumeClaim. It outlives the job.', {
        claimName: objectName('Name of the claim, in the job’s namespace.'),
      }),
    ),
    hostPath: onNode,
    claim: Type.Optional(
      object('A PersistentVolumeClaim that is created for the job, and deleted with it.', {
        storageClassName: Type.Optional(objectName('Class of the storage; by default the cluster’s default class.')),
        size: Type.Optional(quantity('Size of the volume; by default 10Gi.', { preset: '10Gi' })),
      }),
    ),
  },
  { rules: [exactlyOne(['persistentVolumeClaim', 'hostPath', 'claim'])] },
);

export const Volumes = object(
  'Volumes with model and data. A relative uri starts at its volume; without the volume, at the examples in the image. Ignored by ' +
    '`fedbiot run`.',
  {
    model: Type.Optional(source('Volume of model.uri and adapter.initFrom, for the server only.')),
    publicData: Type.Optional(source('Volume of data.public.uri and data.eval.uri, for the server only.')),
    clientData: Type.Optional(source('Volume of data.train.uri, for the clients only.')),
    output: Type.Optional(OutputVolume),
  },
);
