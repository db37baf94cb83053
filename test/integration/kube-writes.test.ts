// The operator's writes to a cluster: objects, statuses, events and deletions.
import t from 'tap';
import { configMap as configMapOf } from '../../operator/plan/config-map.ts';
import { service as serviceOf } from '../../operator/plan/service.ts';
import { serverJob as serverJobOf } from '../../operator/plan/worker-job.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import type { PlannedObject } from '../../operator/objects/planned.ts';
import { reconcile } from '../../operator/reconcile/reconcile.ts';
import { startClusterLab } from '../support/cluster-lab.ts';
import { noApiServer } from '../support/control-plane.ts';
import { allowOperator, watchCluster } from '../support/operator-cluster.ts';
import type { SeenCluster } from '../support/operator-cluster.ts';
import { SETTINGS } from '../support/planned-job.ts';
import { until } from '../support/until.ts';

t.test('the operator’s writes', { skip: noApiServer }, async (t) => {
  const { plane, kubectl, operator, made } = await startClusterLab(t);
  await allowOperator(plane, null);

  t.test('one reconcile creates all that a job needs, and a second writes nothing', async (t) => {
    const seen = watchCluster(t, operator);
    const job: JobObject = await seen.filled().then(() => made(seen, 'whole'));
    t.equal(job.spec.suspend, false);
    await reconcile(seen.ports, SETTINGS, 'lab', 'whole');
    // At once, regardless of the state of the watches.
    await reconcile(seen.ports, SETTINGS, 'lab', 'whole');
    await until('the event is told', 30, async () =>
      (await kubectl(['describe', 'fbj', 'whole', '--namespace=lab'])).includes('Created NetworkPolicy') ? true : null,
    );
    t.match(
      await kubectl(['get', 'events', '--namespace=lab', '--output=custom-columns=R:.reason,S:.reportingComponent']),
      /Created +fedbiot\.io\/operator/,
    );
    const writes = seen.requests.filter((request) => !request.startsWith('GET'));
    t.strictSame(
      writes,
      [...Array.from({ length: 8 }, () => 'POST 201'), 'PUT 200', 'POST 201'],
      'eight objects, a status, an event',
    );
    const listed = await kubectl([
      'get',
      'jobs,secrets,configmaps,services,networkpolicies,pvc',
      '--namespace=lab',
      '--selector=fedbiot.io/job=whole',
      '--output=name',
    ]);
    t.equal(listed.trim().split('\n').length, 8);
    t.match(await kubectl(['get', 'fbj', 'whole', '--namespace=lab']), /Pending/);

    const before = seen.changed.length;
    await kubectl(['delete', 'service', 'whole-server', '--namespace=lab']);
    await until('the job is to be looked at', 30, () =>
      seen.changed.slice(before).includes('lab/whole') ? true : null,
    );
    await reconcile(seen.ports, SETTINGS, 'lab', 'whole');
    await kubectl(['get', 'service', 'whole-server', '--namespace=lab']);
  });

  t.test('a repeated event is counted', async (t) => {
    const seen = watchCluster(t, operator);
    const job = await seen.filled().then(() => made(seen, 'told'));
    const event = { type: 'Warning', reason: 'Unschedulable', message: `No node fits: ${'ä'.repeat(2000)}` } as const;
    for (let times = 0; times < 3; times++) seen.ports.recordEvent(job, event);
    const described = await until('three times', 30, async () => {
      const text = await kubectl(['describe', 'fbj', 'told', '--namespace=lab']);
      return text.includes('(x3 over') ? text : null;
    });
    t.match(described, /Warning +Unschedulable .*No node fits: ä+…/);
    t.equal(described.split('Unschedulable').length, 2, 'in one line');
  });

  t.test('a repeated apply changes nothing, and fields of others are kept', async (t) => {
    const seen = watchCluster(t, operator);
    const job = await seen.filled().then(() => made(seen, 'applied'));
    const service = serviceOf(job);
    t.equal(await seen.ports.create(service), 'created');
    t.equal(await seen.ports.create(service), 'exists');
    t.ok((await seen.ports.observe(job)).service, 'known before it is seen');
    await kubectl(['annotate', 'service', service.metadata.name, '--namespace=lab', 'team=blue']);
    const ports = (names: readonly string[]) => ({
      ...service,
      spec: { ...service.spec, ports: names.map((name, index) => ({ name, port: 80 + index })) },
    });
    const version = () =>
      kubectl([
        'get',
        'service',
        service.metadata.name,
        '--namespace=lab',
        '--output=jsonpath={.metadata.resourceVersion} {.metadata.annotations.team} {.spec.ports[*].name}',
      ]);
    await seen.ports.apply(ports(['one', 'two']));
    const first = await version();
    t.match(first, /^\d+ blue one two$/);
    await seen.ports.apply(ports(['one', 'two']));
    t.equal(await version(), first);
    await seen.ports.apply(ports(['two']));
    t.match(await version(), /^\d+ blue two$/, 'what is not planned any more goes');
  });

  t.test('concurrent writers of one status never overwrite what they have not read', async (t) => {
    const [one, two] = [watchCluster(t, operator), watchCluster(t, operator)];
    await Promise.all([one.filled(), two.filled()]);
    const stale = await made(one, 'contested');
    const conflicts: unknown[] = [];
    const add = async ({ ports }: SeenCluster, each: number) => {
      await until(`writer ${each}`, 60, async () => {
        const job = ports.getJob('lab', 'contested');
        if (job === null) return null;
        try {
          await ports.updateStatus(job, { ...job.status, restarts: (job.status?.restarts ?? 0) + 1 });
          return true;
        } catch (error) {
          conflicts.push(error);
          return null;
        }
      });
    };
    await Promise.all(Array.from({ length: 20 }, (_, each) => add(each % 2 === 0 ? one : two, each)));
    t.equal(
      await kubectl(['get', 'fbj', 'contested', '--namespace=lab', '--output=jsonpath={.status.restarts}']),
      '20',
    );
    t.ok(conflicts.length > 0, `${conflicts.length} conflicts`);
    t.match(
      conflicts,
      Array.from(conflicts, () => ({ code: 409, body: { reason: 'Conflict' } })),
    );
    await t.rejects(
      one.ports.updateStatus(stale, { phase: 'Failed' }),
      { code: 409 },
      'what was derived from an old status is not written',
    );
    t.equal(
      one.ports.getJob('lab', 'contested')?.status?.restarts,
      20,
      'what was written is known without waiting for it',
    );
  });

  t.test('answers of the API server to writes', async (t) => {
    const seen = watchCluster(t, operator);
    const job = await seen.filled().then(() => made(seen, 'written'));
    const configMap = configMapOf(job, null);
    const serverJob = serverJobOf(job, SETTINGS);
    const named = (object: PlannedObject, uid?: string) => ({
      ...object,
      name: object.metadata.name,
      namespace: 'lab',
      ...(uid === undefined ? {} : { uid }),
    });

    await t.rejects(seen.ports.create({ ...serverJob, spec: { parallelism: -1 } }), {
      code: 422,
      body: { kind: 'Status', message: /spec\.template/ },
    });
    await t.rejects(seen.ports.create({ ...configMap, metadata: { ...configMap.metadata, namespace: 'nowhere' } }), {
      code: 404,
    });
    await seen.ports.create(serverJob);
    const found = await seen.ports.read(named(serverJob));
    t.match(found, { kind: 'Job', metadata: { name: 'written-server', ownerReferences: [{ uid: job.metadata.uid }] } });
    t.equal(await seen.ports.read(named({ ...serverJob, metadata: { ...serverJob.metadata, name: 'no-such' } })), null);

    await seen.ports.patchSpec(named(serverJob, found?.metadata.uid), { suspend: true });
    t.equal((await seen.ports.observe(job)).serverJob?.spec?.suspend, true);
    await t.rejects(
      seen.ports.patchSpec(named(serverJob, 'another'), { suspend: false }),
      { code: 409 },
      'an object of another uid is no invalid job',
    );
    await t.rejects(
      seen.ports.patchSpec(named({ ...serverJob, metadata: { ...serverJob.metadata, name: 'no-such' } }), {
        suspend: true,
      }),
      { code: 404 },
    );

    const reference = { ...job, name: 'written', namespace: 'lab' };
    await seen.ports.deleteObject({ ...reference, uid: 'another' });
    t.match(
      await seen.ports.read(reference),
      { metadata: { uid: job.metadata.uid } },
      'a deletion with another uid deletes nothing',
    );
    await seen.ports.deleteObject({ ...reference, uid: job.metadata.uid });
    await until('it is gone', 30, () => (seen.ports.getJob('lab', 'written') === null ? true : null));
    await seen.ports.deleteObject({ ...reference, uid: job.metadata.uid });
    t.equal(seen.removed.at(-1)?.metadata.uid, job.metadata.uid);
  });
});
