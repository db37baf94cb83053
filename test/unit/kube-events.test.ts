import t from 'tap';
import type { Test } from 'tap';
import { ApiClient } from '../../operator/kube/api-client.ts';
import { EventRecorder } from '../../operator/kube/event-recorder.ts';
import { createLog } from '../../operator/process/log.ts';
import type { EventRecord } from '../../operator/objects/event.ts';
import { answerJson, answerStatus, startStub } from '../support/api-stub.ts';
import { jobObject, UID } from '../support/planned-job.ts';

const MINUTE = 60_000;

async function recorder(t: Test) {
  const world = { now: Date.parse('2026-01-01T00:00:00Z'), log: '', isDown: false };
  const stub = await startStub(t, (_request, response) => {
    if (world.isDown) answerStatus(response, 503, 'ServiceUnavailable');
    else answerJson(response, {});
  });
  const client = new ApiClient({ kubeConfig: stub.kubeConfig, request: () => undefined });
  t.teardown(() => client.close());
  const log = createLog('info', { write: (text) => void (world.log += text) });
  const events = new EventRecorder({ client, log, instance: 'operator-0', now: () => world.now });
  const tell = async (event: Partial<EventRecord> = {}) => {
    events.record(jobObject(), { type: 'Normal', reason: 'Running', message: 'The server pod runs.', ...event });
    await events.settled();
  };
  return { world, events, tell, requests: stub.requests };
}

t.test('an event, and its recurrence', async (t) => {
  const { world, tell, requests } = await recorder(t);
  await tell();
  world.now += 5 * MINUTE;
  await tell();
  world.now += 5 * MINUTE;
  await tell();
  await tell({ message: 'Another.' });
  world.now += 6 * MINUTE;
  await tell();
  const [first, second, third, other, later] = requests;
  t.match(first, {
    method: 'POST',
    path: '/apis/events.k8s.io/v1/namespaces/lab/events',
    body: {
      eventTime: '2026-01-01T00:00:00.000000Z',
      reportingController: 'fedbiot.io/operator',
      reportingInstance: 'operator-0',
      regarding: { kind: 'FedBiOTJob', name: 'tiny', namespace: 'lab', uid: UID },
      note: 'The server pod runs.',
    },
  });
  t.match(second, {
    method: 'PATCH',
    contentType: 'application/merge-patch+json',
    body: { series: { count: 2, lastObservedTime: '2026-01-01T00:05:00.000000Z' } },
  });
  t.match(third, { method: 'PATCH', path: second?.path, body: { series: { count: 3 } } });
  t.match([other?.method, later?.method], ['POST', 'POST'], 'another, or much later, is an event of its own');
  t.equal(requests.length, 5);
});

t.test('the number of a job’s events is limited', async (t) => {
  const { world, events, tell, requests } = await recorder(t);
  for (let each = 0; each < 30; each++) await tell({ message: `event ${each}` });
  t.equal(requests.length, 25);
  t.match(world.log, /"job":"tiny".*too many events/);
  world.now += 5 * MINUTE;
  await tell({ message: 'one more' });
  await tell({ message: 'and another' });
  t.equal(requests.length, 26);
  events.forget(UID);
  await tell({ message: 'of a job made again' });
  t.equal(requests.length, 27);
});

t.test('the message is cut between two characters', async (t) => {
  const { tell, requests } = await recorder(t);
  await tell({ message: 'ä'.repeat(2000), reason: 'R'.repeat(200) });
  const [request] = requests;
  t.match(request?.body, { note: /^ä{510}…$/, reason: 'R'.repeat(128) });
});

t.test('an event that cannot be written is logged, and written when it recurs', async (t) => {
  const { world, tell, requests } = await recorder(t);
  world.isDown = true;
  await tell();
  t.match(world.log, /503 ServiceUnavailable.*cannot write an event/);
  t.notMatch(world.log, /secret-token/);
  world.isDown = false;
  await tell();
  t.strictSame(
    requests.map(({ method }) => method),
    ['POST', 'POST'],
  );
});
