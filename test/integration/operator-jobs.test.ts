import { Redis } from 'ioredis';
import t from 'tap';
import { RESOURCE } from '../../operator/objects/resources.ts';
import { jobKeys, PROGRESS_CHANNEL } from '../../worker/cluster/redis-keys.ts';
import { acquireFence } from '../../worker/transport/redis/fence.ts';
import { RedisProgress } from '../../worker/transport/redis/progress.ts';
import { noControllers } from '../support/control-plane.ts';
import { startLab } from '../support/operator-lab.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { roundAt, samplePlan } from '../support/sample-run.ts';
import { sampleProgress } from '../support/sample-progress.ts';
import { until } from '../support/until.ts';

const SECONDS = 60;
const PASSWORD = 'not-to-be-told';

/** The objects created for a job of that name. */
const objectsFor = (name: string) => [
  `ConfigMap ${name}-job`,
  `Job ${name}-clients`,
  `Job ${name}-server`,
  `NetworkPolicy ${name}-clients`,
  `NetworkPolicy ${name}-server`,
  `PersistentVolumeClaim ${name}-output`,
  `Secret ${name}-credentials`,
  `Service ${name}-server`,
];

t.test('the life cycle of jobs', { skip: noControllers || noRedis }, async (t) => {
  const lab = await startLab(t);
  const redis = await startRedis(t, { password: PASSWORD });
  const operator = await lab.operator(redis.url);
  await operator.logged('this replica leads');
  const suspend = (namespace: string, value: boolean) => {
    const patch = JSON.stringify({ spec: { suspend: value } });
    return lab.kubectl('patch', 'fbj', 'tiny', '--namespace', namespace, '--type=merge', '--patch', patch);
  };

  t.test('the quickstart, applied unchanged', async (t) => {
    const namespace = await lab.namespace('quickstart');
    await lab.kubectl('apply', '--namespace', namespace, '--filename', 'examples/quickstart.yaml');
    await lab.jobIn('Pending', namespace, 'quickstart');
    t.strictSame(await lab.objectsOf(namespace, 'quickstart'), objectsFor('quickstart'));

    const shows = async (what: string, args: readonly string[], pattern: RegExp) => {
      let output = '';
      const asExpected = async () => {
        output = await lab.kubectl(...args, '--namespace', namespace);
        return pattern.test(output) || null;
      };
      await until(`kubectl shows ${what}`, SECONDS, asExpected, () => output);
      t.match(output, pattern, what);
    };
    await shows(
      'columns',
      ['get', 'fbj'],
      /^NAME +PHASE +ROUND +CLIENTS +CLIENTPODS +ADAPFU +ADAPEMU +AGE\nquickstart +Pending /,
    );
    await shows('more columns', ['get', 'fbj', '-o', 'wide'], /MESSAGE\n.*no nodes available to schedule pods/);
    await shows(
      'conditions and events',
      ['describe', 'fbj', 'quickstart'],
      /Conditions:[^]*Type: +Running[^]*Events:[^]*Created +\S+ +fedbiot\.io\/operator +Created NetworkPolicy/,
    );
    t.match(await lab.kubectl('explain', 'fbj.spec.emulator.alignment'), /schedule\t<string>[^]*enum: /);
  });

  t.test('a namespace with the restricted standard admits its pods', async (t) => {
    const namespace = await lab.namespace('restricted', { 'pod-security.kubernetes.io/enforce': 'restricted' });
    await lab.createJob(namespace, 'tiny');
    for (const role of ['server', 'client'] as const)
      t.equal((await lab.pod(namespace, 'tiny', role)).status?.phase, 'Pending', `the ${role} pod is created`);
  });

  t.test(
    'progress appears in status and metrics; after success all objects stay until the job is deleted',
    async (t) => {
      const namespace = await lab.namespace('progress');
      const gpus = (count: number) => ({ resources: { limits: { 'nvidia.com/gpu': count } } });
      await lab.createJob(namespace, 'tiny', { server: gpus(2), client: { ...gpus(1), pods: 3 } });
      await lab.play(namespace, 'tiny', 'server', { kind: 'runs' });
      const { metadata } = await lab.jobIn('Running', namespace, 'tiny');

      const raw = new Redis(redis.url);
      t.teardown(() => raw.disconnect());
      const keys = jobKeys(metadata.uid);
      const server = new RedisProgress(raw, keys, await acquireFence(raw, keys), `${namespace}/tiny`);
      const evaluation = {
        round: 1,
        base: { accuracy: 0, loss: 5 },
        adapEmu: { accuracy: 0.25, loss: 2 },
        adapFu: { accuracy: 0.75, loss: 1 },
      };
      // As many tokens as a status may contain; FLOPs beyond the range of an int64.
      const role = (tokens: number) => ({ cpuSeconds: 12.5, gpuSeconds: 0, tokens, peakMemoryBytes: 2 ** 30 });
      const saving = { here: 3e22, fullModel: 1e20, saved: -2.99e22 };
      const cost = {
        server: role(7),
        clients: role(Number.MAX_SAFE_INTEGER),
        bytes: { bundle: 1e12, down: 2, up: 1 },
        savings: { bytes: saving, flops: saving },
      };
      await server.write({
        ...sampleProgress(),
        finishedRounds: 1,
        clients: { selected: 4, reported: 3, dropped: 1, refused: 0 },
        evaluation,
        cost,
      });
      const { status } = await lab.jobThat('has finished a round', namespace, 'tiny', (job) => job.status?.round === 1);
      t.match(status, {
        phase: 'Running',
        rounds: 3,
        clients: { selected: 4, reported: 3 },
        evaluation: { adapFu: { accuracy: 0.75 } },
      });
      t.same(status?.cost, cost, 'what it cost');
      t.match(
        await lab.kubectl('get', 'fbj', 'tiny', '--namespace', namespace),
        /tiny +Running +1\/3 +3\/4 +0\/3 +75\.0 % +25\.0 %/,
      );
      const labels = `namespace="${namespace}",job="tiny"`;
      t.equal(await operator.metric(`fedbiot_round{${labels}}`), 1);
      t.equal(await operator.metric(`fedbiot_job_phase{${labels},phase="Running"}`), 1);
      t.equal(await operator.metric(`fedbiot_accuracy_ratio{${labels},model="adap_fu",task="loss"}`), 0.75);
      const gpusThat = (role: string, state: string) =>
        operator.metric(`fedbiot_gpus{${labels},role="${role}",state="${state}"}`);
      t.same([await gpusThat('server', 'asked'), await gpusThat('server', 'running')], [2, 2]);
      t.same([await gpusThat('client', 'asked'), await gpusThat('client', 'running')], [3, 0], 'no client pod runs');
      t.equal(await operator.metric('fedbiot_operator_redis_connected'), 1);
      t.ok(((await operator.metric('fedbiot_operator_redis_memory_used_bytes')) ?? 0) > 0);
      t.equal(await operator.metric('fedbiot_operator_redis_memory_max_bytes'), 0, 'it has no limit');
      t.equal(await operator.metric('fedbiot_operator_watch_restarts_total{resource="fedbiotjobs"}'), 0);

      await server.write({ ...sampleProgress(), phase: 'Finished', finishedRounds: 3, adapterSha256: 'a'.repeat(64) });
      await lab.play(namespace, 'tiny', 'server', { kind: 'ends', exitCode: 0 });
      t.match(
        await lab.kubectl('wait', '--for=condition=Succeeded', '--timeout=60s', '--namespace', namespace, 'fbj/tiny'),
        /condition met/,
      );
      await lab.jobThat(
        'has all its rounds',
        namespace,
        'tiny',
        (job) => job.status?.round === 3 && job.status.adapterSha256 !== undefined,
      );
      t.strictSame(await lab.objectsOf(namespace, 'tiny'), objectsFor('tiny'));

      await lab.deleteJob(namespace, 'tiny');
      await until('all that was made is gone', SECONDS, async () =>
        (await lab.objectsOf(namespace, 'tiny')).length === 0 ? true : null,
      );
      await until('its pods too', SECONDS, async () =>
        (await lab.pods(namespace, 'tiny')).length === 0 ? true : null,
      );
      await until('and its keys in Redis', SECONDS, async () =>
        (await raw.keys(`${keys.prefix}*`)).length === 0 ? true : null,
      );
      const { body } = await operator.get('/metrics');
      t.notMatch(body, new RegExp(labels), 'and its series');
      t.match(body, /nodejs_eventloop_lag_p99_seconds/);
      t.match(body, /controller_runtime_reconcile_total\{controller="fedbiotjob",result="success"\} [1-9]/);
      t.match(body, /rest_client_requests_total\{code="201",method="POST",host="127\.0\.0\.1:\d+"\} [1-9]/);
      t.match(body, /leader_election_master_status\{name="fedbiot-operator"\} 1/);
    },
  );

  t.test('progress through a Redis that the job brings', async (t) => {
    const namespace = await lab.namespace('own-redis');
    const own = await startRedis(t, { password: `${PASSWORD}-either` });
    await lab.create(RESOURCE.secret, namespace, { metadata: { name: 'redis' }, stringData: { url: own.url } });
    await lab.createJob(namespace, 'tiny', { redis: { urlFrom: { name: 'redis' } } });
    const { metadata } = await lab.jobIn('Pending', namespace, 'tiny');
    const raw = new Redis(own.url);
    t.teardown(() => raw.disconnect());
    await raw.set(jobKeys(metadata.uid).progress, JSON.stringify({ ...sampleProgress(), finishedRounds: 2 }));
    await lab.jobThat('has finished two rounds', namespace, 'tiny', (job) => job.status?.round === 2);
    await lab.deleteJob(namespace, 'tiny');
    await until('its keys are gone', SECONDS, async () => ((await raw.dbsize()) === 0 ? true : null));
  });

  t.test('a job has separate users in Redis, created before its pods and removed with the job', async (t) => {
    const namespace = await lab.namespace('users');
    await lab.createJob(namespace, 'tiny');
    const { metadata, status } = await lab.jobThat(
      'has its users',
      namespace,
      'tiny',
      (job) => job.status?.conditions?.some(({ type }) => type === 'RedisIsolated') ?? false,
    );
    t.match(
      status?.conditions?.find(({ type }) => type === 'RedisIsolated'),
      { status: 'True', reason: 'UserPerRole' },
    );
    const secret = await lab.kubectl('get', 'secret', 'tiny-credentials', '--namespace', namespace, '--output', 'json');
    const { data }: { data: Record<string, string> } = JSON.parse(secret);
    const plain = Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
    );
    t.notMatch(JSON.stringify(plain), PASSWORD, 'the operator’s password is not in its namespace');
    const admin = new Redis(redis.url);
    t.teardown(() => admin.disconnect());
    const connection = (role: 'server' | 'client') => {
      const own = new Redis(plain[`redis-url-${role}`] ?? '');
      own.on('error', () => undefined);
      t.teardown(() => own.disconnect());
      return own;
    };
    const [server, client] = [connection('server'), connection('client')];
    const { progress, prefix } = jobKeys(metadata.uid);
    await server.set(progress, JSON.stringify({ ...sampleProgress(), finishedRounds: 1 }));
    await server.publish(PROGRESS_CHANNEL, `${namespace}/tiny`);
    await lab.jobThat('has heard the server', namespace, 'tiny', (job) => job.status?.round === 1);
    await t.rejects(client.set(progress, '{}'), /NOPERM/);
    await t.rejects(client.set(jobKeys('another').finished, '1'), /NOPERM/);
    await client.lpush(`${prefix}:results:probe`, 'x');
    await admin.call('ACL', 'DELUSER', `fedbiot-${metadata.uid}-client`);
    await lab.kubectl('label', 'fbj', 'tiny', 'look=again', '--namespace', namespace);
    await lab.kubectl('delete', 'secret', 'tiny-credentials', '--namespace', namespace);
    await until('the Secret is made again as it was', SECONDS, async () => {
      const again = await lab.get(RESOURCE.secret, namespace, 'tiny-credentials');
      return again !== null && JSON.stringify(Reflect.get(Object(again), 'data')) === JSON.stringify(data)
        ? true
        : null;
    });
    await lab.deleteJob(namespace, 'tiny');
    await until('its users are gone', SECONDS, async () =>
      String(await admin.call('ACL', 'USERS')).includes(metadata.uid) ? null : true,
    );
  });

  t.test('suspending deletes the pods, and resuming creates them again', async (t) => {
    const namespace = await lab.namespace('suspend');
    await lab.createJob(namespace, 'tiny');
    await lab.play(namespace, 'tiny', 'server', { kind: 'runs' });
    await lab.jobIn('Running', namespace, 'tiny');
    await suspend(namespace, true);
    const { status } = await lab.jobIn('Suspended', namespace, 'tiny');
    t.equal(status?.startTime, undefined);
    await until('no pods', SECONDS, async () => ((await lab.pods(namespace, 'tiny')).length === 0 ? true : null));
    await suspend(namespace, false);
    for (const role of ['server', 'client'] as const)
      t.equal((await lab.pod(namespace, 'tiny', role)).status?.phase, 'Pending', `a new ${role} pod is created`);
    await lab.play(namespace, 'tiny', 'server', { kind: 'runs' });
    const resumed = await lab.jobIn('Running', namespace, 'tiny');
    t.match(
      resumed.status?.conditions?.filter(({ type }) => type === 'Running' || type === 'Suspended'),
      [
        { type: 'Running', status: 'True' },
        { type: 'Suspended', status: 'False', reason: 'Resumed' },
      ],
    );
    await until('events', SECONDS, async () => {
      const described = await lab.kubectl('describe', 'fbj', 'tiny', '--namespace', namespace);
      return /Normal +Suspended/.test(described) && /Normal +Resumed/.test(described) ? true : null;
    });
  });

  t.test('a job with a queue waits for Kueue, and one that another controller manages is left alone', async (t) => {
    const namespace = await lab.namespace('queued');
    const queued = { labels: { 'kueue.x-k8s.io/queue-name': 'gpus' } };
    await lab.createJob(namespace, 'tiny', {}, queued);
    await lab.createJob(namespace, 'remote', { managedBy: 'kueue.x-k8s.io/multikueue' });
    const waits = await lab.jobIn('Pending', namespace, 'tiny');
    t.match(waits.status, {
      startTime: undefined,
      message: /gpus.*serves no kueue\.x-k8s\.io\/v1beta2.*remove the label/,
    });
    t.match(
      waits.status?.conditions?.filter(({ type }) => type !== 'RedisIsolated'),
      [
        { type: 'Running', reason: 'KueueMissing' },
        { type: 'QuotaReserved', status: 'False', reason: 'Pending' },
      ],
    );
    t.equal(await lab.batchJob(namespace, 'tiny-server'), null);
    await lab.kubectl('label', 'fbj', 'tiny', '--namespace', namespace, 'kueue.x-k8s.io/queue-name-');
    t.equal((await lab.pod(namespace, 'tiny', 'server')).status?.phase, 'Pending', 'without the label it starts');
    t.strictSame(await lab.objectsOf(namespace, 'remote'), []);
    t.strictSame((await lab.job(namespace, 'remote'))?.status, { observedGeneration: -1 });
  });

  t.test('one name in two namespaces, and the longest name', async (t) => {
    const name = `n${'o'.repeat(50)}1`;
    const namespaces = [await lab.namespace('names-1'), await lab.namespace('names-2')];
    for (const namespace of namespaces) await lab.createJob(namespace, name);
    for (const namespace of namespaces) {
      await lab.play(namespace, name, 'server', { kind: 'runs' });
      await lab.jobIn('Running', namespace, name);
      t.strictSame(await lab.objectsOf(namespace, name), objectsFor(name));
    }
    await lab.play('names-1', name, 'server', { kind: 'ends', exitCode: 0 });
    await lab.jobIn('Succeeded', 'names-1', name);
    t.equal((await lab.job('names-2', name))?.status?.phase, 'Running', 'the other goes on');
  });

  t.test('the read API allows what the caller may read in the cluster', async (t) => {
    const namespace = await lab.namespace('readers');
    await lab.createJob(namespace, 'tiny');
    const { metadata } = await lab.jobIn('Pending', namespace, 'tiny');
    for (const account of ['viewer', 'stranger'])
      await lab.kubectl('create', 'serviceaccount', account, '--namespace', namespace);
    await lab.kubectl(
      'create',
      'rolebinding',
      'viewer',
      '--clusterrole=view',
      `--serviceaccount=${namespace}:viewer`,
      '--namespace',
      namespace,
    );
    const [viewer, stranger] = [await lab.tokenOf(namespace, 'viewer'), await lab.tokenOf(namespace, 'stranger')];
    const path = `/api/v1/namespaces/${namespace}/jobs/tiny`;
    // The role `view` gets access to jobs by aggregation, which takes the controllers a moment, and a verdict is cached
    // for ten seconds.
    await until('the viewer reads', SECONDS, async () =>
      (await operator.get(path, viewer)).status === 200 ? true : null,
    );
    t.match(JSON.parse((await operator.get(path, viewer)).body), {
      namespace,
      name: 'tiny',
      status: { phase: 'Pending' },
    });
    t.equal((await operator.get(`${path}/report`, viewer)).status, 404);
    const raw = new Redis(redis.url);
    t.teardown(() => raw.disconnect());
    const report = {
      job: 'tiny',
      method: 'FedBiOT',
      seed: 0,
      rounds: [roundAt(1)],
      final: null,
      cost: null,
      adapterSha256: null,
      partition: [],
      plan: samplePlan,
    };
    await raw.set(jobKeys(metadata.uid).report, JSON.stringify(report));
    const told = await operator.get(`${path}/report`, viewer);
    t.equal(told.status, 200);
    t.strictSame(JSON.parse(told.body), report);
    t.equal((await operator.get(`/api/v1/jobs?namespace=${namespace}`, viewer)).status, 200);
    t.equal((await operator.get('/api/v1/jobs', viewer)).status, 403, 'not of all namespaces');
    t.equal((await operator.get(path, stranger)).status, 403);
    t.equal((await operator.get(path, 'made-up')).status, 401);
    t.equal((await operator.get(path)).status, 401);
  });

  t.test('no request was forbidden, none failed, and no secret was logged', async (t) => {
    t.equal(await operator.end('SIGTERM'), 0);
    t.notMatch(operator.output, /forbidden|"level":"(error|fatal)"/);
    t.notMatch(operator.output, new RegExp(PASSWORD));
    const credentials = await lab.get(RESOURCE.secret, 'readers', 'tiny-credentials');
    const token = /"token":"([^"]+)"/.exec(JSON.stringify(credentials))?.[1] ?? '';
    t.ok(token.length > 40);
    t.notOk(operator.output.includes(token) || operator.output.includes(Buffer.from(token, 'base64').toString()));
    t.match(operator.output, /"namespace":"quickstart","job":"quickstart"/);
  });
});
