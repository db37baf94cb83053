import t from 'tap';
import { ApiClient } from '../../operator/kube/api-client.ts';
import { lastWarning } from '../../operator/kube/last-warning.ts';
import { createLog } from '../../operator/process/log.ts';
import { answerJson, answerStatus, startStub } from '../support/api-stub.ts';

const JOB = { apiVersion: 'batch/v1', kind: 'Job', name: 'tune-server', namespace: 'team', uid: 'u-1' };

t.test('the last warning about an object, by whichever time it has', async (t) => {
  const at = (minute: number) => `2026-01-01T00:0${minute}:00Z`;
  const metadata = { creationTimestamp: at(0) };
  const world: { items: unknown; code: number } = { items: [], code: 200 };
  const stub = await startStub(t, (_request, response) => {
    if (world.code === 200) answerJson(response, { items: world.items });
    else answerStatus(response, world.code, 'no');
  });
  const client = new ApiClient({ kubeConfig: stub.kubeConfig, request: () => undefined });
  t.teardown(() => client.close());
  let logged = '';
  const ask = () => lastWarning(client, JOB, createLog('info', { write: (text) => void (logged += text) }));

  t.equal(await ask(), null);
  t.match(stub.requests[0], {
    path: '/apis/events.k8s.io/v1/namespaces/team/events',
    query: { fieldSelector: 'type=Warning,regarding.uid=u-1', limit: '100' },
  });
  world.items = [
    { metadata, reason: 'FailedCreate', note: 'older', deprecatedLastTimestamp: at(3), eventTime: null, series: null },
    {
      metadata,
      reason: 'FailedCreate',
      note: 'newest',
      deprecatedLastTimestamp: null,
      eventTime: at(1),
      series: { lastObservedTime: at(5) },
    },
    { metadata, reason: 'FailedCreate', note: 'by its time', eventTime: at(4) },
    { metadata, reason: '', note: 'without a reason', eventTime: at(8) },
    { metadata, reason: 'FailedCreate', note: 'at no time', eventTime: 'soon' },
    'no event',
    { reason: 7 },
  ];
  t.strictSame(await ask(), { reason: 'FailedCreate', message: 'newest', at: at(5) });
  world.items = [{ metadata, reason: 'FailedMount' }];
  t.strictSame(await ask(), { reason: 'FailedMount', message: '', at: at(0) });
  world.items = 'none';
  t.equal(await ask(), null);
  t.equal(logged, '');
  for (const code of [403, 500]) {
    world.code = code;
    t.equal(await ask(), null, 'no more than words are missing');
  }
  t.match(logged, /events cannot be read/);
});
