import type { AuthenticationV1Api, AuthorizationV1Api } from '@kubernetes/client-node';
import { GROUP } from '../../crds/schema/job.ts';
import type { Identity, Question, Reviews } from './access.ts';

/** Asks the API server itself. The operator needs `create` on both kinds of review, and nothing else for it. */
export function kubernetesReviews(
  authentication: Pick<AuthenticationV1Api, 'createTokenReview'>,
  authorization: Pick<AuthorizationV1Api, 'createSubjectAccessReview'>,
): Reviews {
  return {
    async identify(token): Promise<Identity | null> {
      const { status } = await authentication.createTokenReview({
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } },
      });
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
    async isAllowed({ username, uid, groups, extra }, { verb, namespace, name }: Question): Promise<boolean> {
      const { status } = await authorization.createSubjectAccessReview({
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SubjectAccessReview',
          spec: {
            user: username,
            ...(uid === undefined ? {} : { uid }),
            ...(groups === undefined ? {} : { groups: [...groups] }),
            ...(extra === undefined ? {} : { extra: Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]])) }),
            resourceAttributes: {
              group: GROUP,
              resource: 'fedbiotjobs',
              verb,
              ...(namespace === null ? {} : { namespace }),
              ...(name === null ? {} : { name }),
            },
          },
        },
      });
      return status?.allowed === true;
    },
  };
}
