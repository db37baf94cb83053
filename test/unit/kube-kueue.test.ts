// What is read of Kueue before a job is reconciled, and when.
import t from 'tap';
import { ApiError } from '../../operator/kube/api-error.ts';
import { observeKueue } from '../../operator/kube/kueue.ts';
import type { ObservedOwned } from '../../operator/objects/observed.ts';
import { batchJob } from '../support/observed-job.ts';
import { jobObject, NOTHING } from '../support/planned-job.ts';

const PATH = '/apis/kueue.x-k8s.io/v1beta2';
const QUEUED = { 'kueue.x-k8s.io/queue-name': 'team' };
const HIGH = { ...QUEUED, 'kueue.x-k8s.io/priority-class': 'high' };

/** An API server with these objects by path, which counts what is read. */
function server(objects: Readonly<Record<string, object>>) {
  const read: string[] = [];
  const json = async (method: string, path: string): Promise<unknown> => {
    read.push(path);
    const found = objects[path];
    if (found === undefined) throw new ApiError(`${method} ${path}`, 404, {});
    return found;
  };
  return { client: { json }, read };
}

const admitted = {
  metadata: { name: 'fedbiotjob-tiny' },
  spec: { queueName: 'team' },
  status: {
    conditions: [{ type: 'Admitted', status: 'True' }],
    admission: {
      clusterQueue: 'all',
      podSetAssignments: [
        { name: 'server', flavors: { cpu: 'spot', memory: 'spot' } },
        { name: 'client', flavors: { cpu: 'plain' } },
      ],
    },
  },
} satisfies ObservedOwned;

t.test('flavors are read once each, while Jobs are to be created', async (t) => {
  const tolerations = [{ key: 'spot', operator: 'Exists' }];
  const { client, read } = server({
    [`${PATH}/resourceflavors/spot`]: { spec: { nodeLabels: { pool: 'spot' }, tolerations, topologyName: 'racks' } },
    [`${PATH}/resourceflavors/plain`]: {},
  });
  const job = jobObject({}, { labels: QUEUED });
  const { flavors, priority } = await observeKueue(client, job, { ...NOTHING, workload: admitted }, true);
  t.same(
    [...flavors],
    [
      ['spot', { nodeSelector: { pool: 'spot' }, tolerations }],
      ['plain', { nodeSelector: {}, tolerations: [] }],
    ],
  );
  t.equal(priority, null);
  t.strictSame(read.length, 2);
  const running = { ...NOTHING, workload: admitted, serverJob: batchJob('server'), clientsJob: batchJob('clients') };
  t.strictSame((await observeKueue(client, job, running, true)).flavors.size, 0);
  t.strictSame(read.length, 2, 'nothing more');
  const some = server({ [`${PATH}/resourceflavors/spot`]: { spec: { nodeLabels: 'all' } } });
  const none = await observeKueue(some.client, job, { ...NOTHING, workload: admitted }, true);
  t.strictSame([...none.flavors], [], 'the status tells what is missing or cannot be read');
});

t.test('a priority is read while the Workload lacks it', async (t) => {
  const { client, read } = server({
    [`${PATH}/workloadpriorityclasses/high`]: { value: 100 },
    '/apis/scheduling.k8s.io/v1/priorityclasses/urgent': { value: 7 },
  });
  const asked = async (job: ReturnType<typeof jobObject>, workload: ObservedOwned | null = null, isServed = true) =>
    (await observeKueue(client, job, { ...NOTHING, workload }, isServed)).priority;
  const high = jobObject({}, { labels: HIGH });
  t.equal(await asked(high), 100);
  t.equal(await asked(jobObject({ client: { priorityClassName: 'urgent' } }, { labels: QUEUED })), 7);
  t.equal(await asked(jobObject({ server: { priorityClassName: 'missing' } }, { labels: QUEUED })), null);
  t.equal(read.length, 3);
  const priorityClassRef = { group: 'kueue.x-k8s.io', kind: 'WorkloadPriorityClass', name: 'high' };
  t.equal(await asked(high, { metadata: { name: '' }, spec: { priorityClassRef } }), null, 'it has it');
  t.equal(await asked(high, null, false), null, 'there is no Kueue');
  t.equal(await asked(jobObject({ client: { priorityClassName: 'urgent' } })), null, 'and no queue');
  t.equal(read.length, 3, 'nothing more');
});
