// The writes for a job in a queue of Kueue, from its creation to its end.
import t from 'tap';
import { jobObject } from '../support/planned-job.ts';
import { ReconcileWorld } from '../support/reconcile-world.ts';

const WORKLOAD = 'Workload fedbiotjob-tiny';
const labels = (queue: string) => ({ 'kueue.x-k8s.io/queue-name': queue });

function queuedJob() {
  const world = new ReconcileWorld(jobObject({}, { labels: labels('team') }));
  world.kueue = { isServed: true, flavors: new Map(), priority: null };
  const says = (podSetAssignments: readonly object[], ...types: readonly string[]) => {
    const stored = world.objects.get(WORKLOAD);
    if (stored === undefined) throw new Error('there is no Workload');
    const conditions = types.map((type) => ({ type, status: 'True', reason: type, message: `${type}, says Kueue` }));
    stored.status = { conditions, admission: { clusterQueue: 'all', podSetAssignments } };
  };
  const turn = async () => (await world.turn()).calls.filter((call) => !/^(status|event)/.test(call));
  return { world, says, turn };
}

t.test('a Workload, an admission, an eviction', async (t) => {
  const { world, says, turn } = queuedJob();
  t.match((await turn()).slice(-1), [`create ${WORKLOAD}`]);
  t.strictSame(await turn(), []);
  says([], 'QuotaReserved', 'Admitted');
  const report = `conditions of ${WORKLOAD} PodsReady=WaitForStart`;
  t.strictSame(await turn(), [report, 'create Job tiny-server', 'create Job tiny-clients']);
  says([], 'QuotaReserved', 'Admitted', 'Evicted');
  t.match(await turn(), [/^delete Job tiny-server/, /^delete Job tiny-clients/]);
  for (const name of ['server', 'clients']) world.objects.delete(`Job tiny-${name}`);
  t.strictSame(await turn(), [`patch status of ${WORKLOAD}`]);
  t.match(world.objects.get(WORKLOAD)?.status, { admission: null });
  t.match(world.status, { phase: 'Pending', message: /Evicted, says Kueue/ });
});

t.test('another queue, an end, and quota that is given back although the job is blocked', async (t) => {
  const { world, says, turn } = queuedJob();
  await turn();
  const { job } = world;
  if (job !== null) world.job = { ...job, metadata: { ...job.metadata, labels: labels('other') } };
  t.strictSame(await turn(), [`patch ${WORKLOAD} {"queueName":"other"}`]);
  says([], 'QuotaReserved', 'Admitted');
  await turn();
  const conditions = [{ type: 'Complete', status: 'True' }];
  for (const name of ['server', 'clients']) world.setJobStatus(`tiny-${name}`, { conditions });
  const service = world.objects.get('Service tiny-server');
  if (service === undefined) throw new Error('there is no Service');
  world.objects.set('Service tiny-server', { ...service, metadata: { ...service.metadata, ownerReferences: [] } });
  t.strictSame(await turn(), [`conditions of ${WORKLOAD} Finished=Succeeded`]);
});

t.test('a flavor that is gone keeps pods from starting, and no suspended job from giving its quota back', async (t) => {
  const { world, says, turn } = queuedJob();
  await turn();
  const podSetAssignments = [{ name: 'server', flavors: { cpu: 'gone' } }];
  says(podSetAssignments, 'QuotaReserved', 'Admitted');
  t.strictSame(await turn(), [`conditions of ${WORKLOAD} PodsReady=WaitForStart`]);
  t.match(world.status, { phase: 'Pending', message: /ResourceFlavor gone, which does not exist/ });
  const { job } = world;
  if (job !== null) world.job = { ...job, spec: { ...job.spec, suspend: true } };
  t.match(await turn(), [/^delete Workload/]);
});

t.test('a refused change of the Workload is reported', async (t) => {
  const { world, says, turn } = queuedJob();
  await turn();
  says([], 'QuotaReserved', 'Admitted');
  world.fault = (call) => {
    if (call.startsWith('conditions'))
      throw Object.assign(new Error('forbidden'), { code: 403, body: { message: 'no permission' } });
  };
  await turn();
  t.match(world.status?.message, /to change Workload fedbiotjob-tiny: no permission/);
});
