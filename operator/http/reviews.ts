import Type from 'typebox';
import type { Static, TSchema } from 'typebox';
import Value from 'typebox/value';
import { GROUP } from '../../crds/schema/job.ts';
import type { ApiClient } from '../kube/api-client.ts';
import type { Identity, Question, Reviews } from './access.ts';

const strings = Type.Array(Type.String());

const TokenReview = Type.Object({
  status: Type.Optional(
    Type.Object({
      authenticated: Type.Optional(Type.Boolean()),
      user: Type.Optional(
        Type.Object({
          username: Type.Optional(Type.String()),
          uid: Type.Optional(Type.String()),
          groups: Type.Optional(strings),
          extra: Type.Optional(Type.Record(Type.String(), strings)),
        }),
      ),
    }),
  ),
});

const SubjectAccessReview = Type.Object({
  status: Type.Optional(Type.Object({ allowed: Type.Optional(Type.Boolean()) })),
});

/** Reviews by requests to the API server. The operator needs the permission to create both kinds of review. */
export function kubernetesReviews(client: Pick<ApiClient, 'json'>): Reviews {
  const review = async <T extends TSchema>(
    schema: T,
    group: string,
    kind: string,
    spec: object,
  ): Promise<Static<T>> => {
    const apiVersion = `${group}/v1`;
    const answer = await client.json('POST', `/apis/${apiVersion}/${kind.toLowerCase()}s`, {
      body: { apiVersion, kind, spec },
    });
    if (!Value.Check(schema, answer)) throw new Error(`the API server's answer is not a ${kind}`);
    return answer;
  };
  return {
    async identify(token): Promise<Identity | null> {
      const { status } = await review(TokenReview, 'authentication.k8s.io', 'TokenReview', { token });
      const user = status?.user;
      if (status?.authenticated !== true || user?.username === undefined) return null;
      const { username, uid, groups, extra } = user;
      return {
        username,
        ...(uid === undefined ? {} : { uid }),
        ...(groups === undefined ? {} : { groups }),
        ...(extra === undefined ? {} : { extra }),
      };
    },
    async isAllowed({ username, uid, groups, extra }, question: Question): Promise<boolean> {
      const { status } = await review(SubjectAccessReview, 'authorization.k8s.io', 'SubjectAccessReview', {
        user: username,
        uid,
        groups,
        extra,
        ...attributesOf(question),
      });
      return status?.allowed === true;
    },
  };
}

function attributesOf(question: Question): object {
  if ('url' in question) return { nonResourceAttributes: { path: question.url, verb: 'get' } };
  const { verb, namespace, name } = question;
  return {
    resourceAttributes: {
      group: GROUP,
      resource: 'fedbiotjobs',
      verb,
      ...(namespace === null ? {} : { namespace }),
      ...(name === null ? {} : { name }),
    },
  };
}
