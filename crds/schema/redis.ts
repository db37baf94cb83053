import Type from 'typebox';
import { object } from '../json-schema/fields.ts';
import { dataKey, objectName } from './kubernetes-names.ts';

export const Redis = object(
  'The Redis (6.2 or later, noeviction) that carries tasks and results; by default the operator’s. `fedbiot run` needs none.',
  {
    urlFrom: object(
      'Secret that holds the URL: redis:// or, with TLS, rediss://; with user and password, percent-encoded (% as %25, @ as %40).',
      {
        name: objectName('Name of the Secret, in the job’s namespace.'),
        key: dataKey('Key within it.', 'url'),
      },
    ),
    tls: Type.Optional(
      object('How Redis’s certificate is judged.', {
        caSecret: object('The authority that signed it; by default those the image trusts.', {
          name: objectName(
            'Name of a Secret, in the job’s namespace, whose key ca.crt holds the authority’s certificate (PEM).',
          ),
        }),
      }),
    ),
  },
);
