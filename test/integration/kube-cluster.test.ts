// The operator's view of a cluster, including objects that it cannot read.
import t from 'tap';
import { collectionPath, objectPath, RESOURCE } from '../../operator/objects/resources.ts';
import { reconcile } from '../../operator/reconcile/reconcile.ts';
import { jobManifest, startClusterLab } from '../support/cluster-lab.ts';
import { noApiServer } from '../support/control-plane.ts';
import { allowOperator, watchCluster } from '../support/operator-cluster.ts';
import { SETTINGS } from '../support/planned-job.ts';
import { until } from '../support/until.ts';

t.test('the cluster as the operator sees it', { skip: noApiServer }, async (t) => {
  const { plane, kubectl, operator, admin, made } = await startClusterLab(t);

  t.test('only the namespaces with permission are listed', async (t) => {
    await allowOperator(plane, 'lab');
    const both = watchCluster(t, operator, {
      namespaces: ['lab', 'other'],
      times: { firstPauseMs: 50, longestPauseMs: 200 },
    });
    const only = watchCluster(t, operator, { namespaces: ['lab'] });
    t.match(only.cluster.missing(), /^not listed yet: fedbiotjobs in lab, networkpolicies in lab, /);
    await only.filled();
    await kubectl(['create', '--filename', '-'], jobManifest('here'));
    await kubectl(['create', '--filename', '-'], jobManifest('there', { namespace: 'other' }));
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

  t.test('a listener that throws does not stop the caches', async (t) => {
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
    t.match(again.log(), /is too long, and is ignored/);
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

  t.test('a stored job that breaks the schema is left alone, and does not disturb others', async (t) => {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/fedbiotjobs.fedbiot.io';
    const original: unknown = await admin.json('GET', path);
    const schemas = JSON.parse(JSON.stringify(original));
    for (const version of schemas.spec.versions)
      version.schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    await kubectl(['replace', '--filename', '-'], schemas);
    const bad = { ...jobManifest('broken'), spec: { rounds: 'many' } };
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
