import t from 'tap';
import { ApiClient } from '../../operator/kube/api-client.ts';
import { loadKubeConfig } from '../../operator/kube/kube-config.ts';
import { collectionPath, objectPath, RESOURCE } from '../../operator/objects/resources.ts';
import { configMap as configMapOf } from '../../operator/plan/config-map.ts';
import { service as serviceOf } from '../../operator/plan/service.ts';
import { serverJob as serverJobOf } from '../../operator/plan/worker-job.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import type { PlannedObject } from '../../operator/objects/planned.ts';
import { reconcile } from '../../operator/reconcile/reconcile.ts';
import { validJob } from '../fixtures/invalid-jobs.ts';
import { noApiServer, startControlPlane } from '../support/control-plane.ts';
import { allowOperator, createOperatorAccount, watchCluster } from '../support/operator-cluster.ts';
import type { SeenCluster } from '../support/operator-cluster.ts';
import { SETTINGS } from '../support/planned-job.ts';
import { until } from '../support/until.ts';

const manifest = (name: string, { spec = {}, namespace = 'lab' }: { spec?: object; namespace?: string } = {}) => {
  const { model, data } = validJob().spec;
  return {
    apiVersion: 'fedbiot.io/v1alpha1',
    kind: 'FedBiOTJob',
    metadata: { name, namespace },
    spec: { model, data, ...spec },
  };
};

t.test('the cluster as the operator sees it', { skip: noApiServer }, async (t) => {
  const plane = await startControlPlane();
  t.teardown(plane.close);
  const { kubectl } = plane;
  for (const namespace of ['lab', 'other']) await kubectl(['create', 'namespace', namespace]);
  const token = await createOperatorAccount(plane);
  const operator = plane.kubeconfigFor(token);
  const admin = new ApiClient({ kubeConfig: loadKubeConfig(plane.kubeconfig), request: () => undefined });
  t.teardown(() => admin.close());

  /** A job that is made, once the operator has seen it. */
  const made = async ({ ports }: SeenCluster, name: string, spec: object = {}): Promise<JobObject> => {
    await kubectl(['create', '--filename', '-'], manifest(name, { spec }));
    return await until(`${name} is seen`, 30, () => ports.getJob('lab', name));
  };

  t.test('in the namespaces where it may work, and no others', async (t) => {
    await allowOperator(plane, 'lab');
    const both = watchCluster(t, operator, {
      namespaces: ['lab', 'other'],
      times: { firstPauseMs: 50, longestPauseMs: 200 },
    });
    const only = watchCluster(t, operator, { namespaces: ['lab'] });
    t.match(only.cluster.missing(), /^not listed yet: fedbiotjobs in lab, networkpolicies in lab, /);
    await only.filled();
    await kubectl(['create', '--filename', '-'], manifest('here'));
    await kubectl(['create', '--filename', '-'], manifest('there', { namespace: 'other' }));
    await until('the job is seen', 30, () => both.ports.getJob('lab', 'here'));
    t.match(both.cluster.missing(), /^not listed yet: fedbiotjobs in other, /);
    t.match(both.log(), /403.*forbidden/);
    await allowOperator(plane, null);
    await both.filled();
    t.ok(both.ports.getJob('other', 'there'));
    t.strictSame(
      only.cluster.jobs().map(({ metadata }) => metadata.name),
      ['here'],
    );
    await kubectl(['delete', 'fedbiotjob', 'here', '--namespace', 'lab']);
    await until('it is gone', 30, () => (only.cluster.jobs().length === 0 ? true : null));
    t.match(only.removed, [{ metadata: { name: 'here' } }]);
    t.strictSame(
      both.cluster.jobs().map(({ metadata }) => metadata.name),
      ['there'],
    );
  });

  t.test('reconciled once, a job has all it needs, and no second look writes', async (t) => {
    const seen = watchCluster(t, operator);
    const job: JobObject = await seen.filled().then(() => made(seen, 'whole'));
    t.equal(job.spec.suspend, false);
    await reconcile(seen.ports, SETTINGS, 'lab', 'whole');
    // At once, whatever the watches have told yet.
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

  t.test('an event that comes again is counted', async (t) => {
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

  t.test('pods of a job are found by their label', async (t) => {
    const seen = watchCluster(t, operator);
    await seen.filled();
    const job = await made(seen, 'podded');
    const labels = {
      'app.kubernetes.io/managed-by': 'fedbiot-operator',
      'fedbiot.io/job': 'podded',
      'fedbiot.io/role': 'server',
    };
    const pod = (name: string, labels: object) => ({
      apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'lab', labels }, spec: { containers: [{ name: 'worker', image: 'none' }] },
    }); // prettier-ignore
    await kubectl(['create', '--filename', '-'], pod('a-stranger', {}));
    await kubectl(['create', '--filename', '-'], pod('podded-server-x', labels));
    const pods = await until('the pod is seen', 30, async () => {
      const { pods } = await seen.ports.observe(job);
      return pods.length === 0 ? null : pods;
    });
    t.match(pods, [{ kind: 'Pod', metadata: { name: 'podded-server-x' }, status: { phase: 'Pending' } }]);
    t.equal(pods.length, 1);
    t.ok(seen.changed.includes('lab/podded'));
  });

  t.test('apply changes nothing twice, and leaves to others what is theirs', async (t) => {
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

  t.test('of many who write a status at the same time, each has seen what it writes over', async (t) => {
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

  t.test('what the API server says of a write', async (t) => {
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

  t.test('whoever is told of changes may throw: all is seen all the same', async (t) => {
    let thrown = 0;
    const fails = (): never => {
      thrown++;
      throw new Error('a listener fails');
    };
    const watch = { added: () => undefined, restarted: fails };
    const seen = watchCluster(t, operator, {
      changed: fails,
      removed: fails,
      watch,
      times: { firstPauseMs: 20, longestPauseMs: 100, watchSeconds: 1, resyncMs: 100 },
    });
    await seen.filled();
    await made(seen, 'thrown-at');
    await reconcile(seen.ports, SETTINGS, 'lab', 'thrown-at');
    await kubectl(['delete', 'fedbiotjob', 'thrown-at', '--namespace', 'lab']);
    await until('it is gone', 30, () => (seen.ports.getJob('lab', 'thrown-at') === null ? true : null));
    await made(seen, 'after');
    await kubectl(['delete', 'fedbiotjob', 'after', '--namespace', 'lab']);
    t.ok(thrown > 3);
    t.match(seen.log(), /a change could not be handled/);
  });

  t.test('Secrets that a job names', async (t) => {
    const seen = watchCluster(t, operator);
    await seen.filled();
    const redis = { urlFrom: { name: 'redis', key: 'url' }, tls: { caSecret: { name: 'authority' } } };
    const early = await made(seen, 'early', { redis: { urlFrom: { name: 'none', key: 'url' } } });
    t.strictSame(
      [
        await seen.cluster.redisUrlOf(early),
        await seen.cluster.caOf(early),
        (await seen.ports.observe(early)).redisPort,
      ],
      [null, null, null],
    );
    await kubectl([
      'create',
      'secret',
      'generic',
      'redis',
      '--namespace=lab',
      '--from-literal=url=rediss://:p@redis.lab:6380\n',
    ]);
    await kubectl(['create', 'secret', 'generic', 'authority', '--namespace=lab', '--from-literal=ca.crt=PEM']);
    const job = await made(seen, 'secret', { redis });
    t.equal(await seen.cluster.redisUrlOf(job), 'rediss://:p@redis.lab:6380\n', 'as it is stored');
    t.equal(await seen.cluster.caOf(job), 'PEM');
    t.equal((await seen.ports.observe(job)).redisPort, 6380);
    t.notMatch(seen.log(), /:p@/);

    const fill = Buffer.alloc(700_000, 'x').toString('base64');
    await kubectl(['replace', '--filename', '-'], {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'redis', namespace: 'lab' },
      data: { url: fill },
    });
    const bulky = await made(watchCluster(t, operator), 'bulky', { redis });
    const again = watchCluster(t, operator);
    await again.filled();
    t.strictSame(
      [await again.cluster.redisUrlOf(bulky), (await again.ports.observe(bulky)).redisPort],
      [null, null],
      'what is far too long is not used',
    );
    t.match(again.log(), /is too long, and is not used/);
    const inherited = await made(again, 'inherited', { redis: { urlFrom: { name: 'redis', key: 'constructor' } } });
    t.equal(await again.cluster.redisUrlOf(inherited), null, 'nor what no Secret holds');
  });

  t.test('devices of dynamic resource allocation reach the Job', async (t) => {
    const seen = watchCluster(t, operator);
    await seen.filled();
    const gpu = { name: 'gpu', resourceClaimTemplateName: 'one-gpu' };
    await made(seen, 'devices', {
      client: { resources: { claims: [{ name: 'gpu' }] }, podTemplate: { spec: { resourceClaims: [gpu] } } },
    });
    await reconcile(seen.ports, SETTINGS, 'lab', 'devices');
    t.match(await admin.json('GET', objectPath(RESOURCE.job, 'lab', 'devices-clients')), {
      spec: {
        template: {
          spec: {
            resourceClaims: [gpu],
            containers: [{ args: ['client', '--provider', 'cuda'], resources: { claims: [{ name: 'gpu' }] } }],
          },
        },
      },
    });
  });

  t.test('a stored job that breaks the rules does no harm', async (t) => {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/fedbiotjobs.fedbiot.io';
    const original: unknown = await admin.json('GET', path);
    const schemas = JSON.parse(JSON.stringify(original));
    for (const version of schemas.spec.versions)
      version.schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    await kubectl(['replace', '--filename', '-'], schemas);
    const bad = { ...manifest('broken'), spec: { rounds: 'many' } };
    await until('the rules are loose', 30, () =>
      admin.json('POST', collectionPath(RESOURCE.fedbiotJob, 'lab'), { body: bad }).catch(() => null),
    );
    const { metadata } = JSON.parse(await kubectl(['get', 'crd', 'fedbiotjobs.fedbiot.io', '--output=json']));
    const strict = JSON.parse(JSON.stringify(original));
    await kubectl(['replace', '--filename', '-'], {
      ...strict,
      metadata: { ...strict.metadata, resourceVersion: metadata.resourceVersion },
    });

    const seen = watchCluster(t, operator, { times: { firstPauseMs: 50, longestPauseMs: 200 } });
    await seen.filled();
    const job = await made(seen, 'sound');
    t.equal(seen.ports.getJob('lab', 'broken'), null);
    t.notOk(seen.cluster.jobs().some(({ metadata }) => metadata.name === 'broken'));
    t.match(seen.log(), /"job":"broken","problem":"spec\.[a-z.]+: .*not valid and is ignored/);
    t.strictSame(await reconcile(seen.ports, SETTINGS, 'lab', 'broken'), { requeueAfterMs: null, blocked: null });
    await until('an event tells why', 30, async () =>
      /Unreadable .*spec\./.test(await kubectl(['get', 'events', '--namespace=lab'])) ? true : null,
    );
    await reconcile(seen.ports, SETTINGS, 'lab', 'sound');
    t.equal(seen.ports.getJob('lab', 'sound')?.status?.phase, 'Pending');
    t.equal(job.metadata.name, 'sound');
    await kubectl(['delete', 'fbj', 'broken', '--namespace=lab']);
    t.match(await admin.json('GET', objectPath(RESOURCE.fedbiotJob, 'lab', 'sound')), { status: { phase: 'Pending' } });
  });
});
