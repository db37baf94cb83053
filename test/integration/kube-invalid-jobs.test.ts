import t from 'tap';
import { ApiClient } from '../../operator/kube/api-client.ts';
import { ApiError } from '../../operator/kube/api-error.ts';
import { loadKubeConfig } from '../../operator/kube/kube-config.ts';
import { collectionPath, RESOURCE } from '../../operator/objects/resources.ts';
import { INVALID_JOBS, manifestOf, validJob } from '../fixtures/invalid-jobs.ts';
import { noApiServer, startControlPlane } from '../support/control-plane.ts';

t.test('the API server refuses invalid jobs, for the field that is wrong', { skip: noApiServer }, async (t) => {
  const plane = await startControlPlane();
  t.teardown(plane.close);
  const client = new ApiClient({ kubeConfig: loadKubeConfig(plane.kubeconfig), request: () => undefined });
  t.teardown(() => client.close());
  // Like kubectl: unknown fields are refused, not dropped.
  const query = { dryRun: 'All', fieldValidation: 'Strict' };
  const create = (body: object) => client.json('POST', collectionPath(RESOURCE.fedbiotJob, 'default'), { query, body });

  t.match(
    await create(validJob()),
    { kind: 'FedBiOTJob', spec: { suspend: false } },
    'the job that they are made from is valid',
  );
  for (const invalid of INVALID_JOBS) {
    const error: unknown = await create(manifestOf(invalid)).catch((error: unknown) => error);
    if (!(error instanceof ApiError)) {
      t.fail(`${invalid.what}: ${String(error)}`);
      continue;
    }
    const { details, message = '' } = error.status;
    const fields = details?.causes?.map(({ field }) => field) ?? [];
    t.ok(
      fields.includes(invalid.field) || message.includes(`unknown field "${invalid.field}"`),
      `${invalid.what}: ${invalid.field}`,
      { error },
    );
  }
});
