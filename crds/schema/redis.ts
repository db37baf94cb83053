import Type from 'typebox';
import { object } from '../json-schema/fields.ts';
import { dataKey, objectName } from './kubernetes-names.ts';

export const Redis = object(
  'The Redis (6.2 or later, noeviction) that transports tasks and results; by default the operator’s. Not used by `fedbiot run`.',
  {
    urlFrom: object(
      'Secret with the URL: redis:// or, with TLS, rediss://, including user and password, percent-encoded (% as %25, @ as %40).',
      {
        name: objectName('Name of the Secret, in the job’s namespace.'),
        key: dataKey('Key in the Secret.', 'url'),
      },
    ),
    tls: Type.Optional(
      object('Verification of the certificate of Redis.', {
        caSecret: object('The CA certificate that signed it; by default the CAs that the image trusts.', {
          name: objectName(
            'Name of a Secret, in the job’s namespace, whose key ca.crt holds the CA certificate (PEM).',
          ),
        }),
      }),
    ),
  },
);
