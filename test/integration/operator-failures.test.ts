import { Redis } from 'ioredis';
import t from 'tap';
import { RESOURCE } from '../../operator/objects/resources.ts';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { acquireFence } from '../../worker/transport/redis/fence.ts';
import { RedisProgress } from '../../worker/transport/redis/progress.ts';
import { noControllers } from '../support/control-plane.ts';
import { startLab } from '../support/operator-lab.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { sampleProgress } from '../support/sample-progress.ts';
import { until } from '../support/until.ts';

const SECONDS = 60;

const says = (reason: string, message: string) => JSON.stringify({ reason, message });

t.test('jobs that fail', { skip: noControllers || noRedis }, async (t) => {
  const lab = await startLab(t);
  const redis = await startRedis(t);
  const operator = await lab.operator(redis.url);
  await operator.logged('this replica leads');

  const failed = async (namespace: string, name: string) => {
    const { status } = await lab.jobIn('Failed', namespace, name);
    return { ...status, failed: status?.conditions?.find(({ type }) => type === 'Failed') };
  };
  const tokenOf = (namespace: string, name: string) =>
    lab.kubectl('get', 'secret', `${name}-credentials`, '--namespace', namespace, '-o', 'jsonpath={.data.token}');
  const event = (namespace: string, name: string, pattern: RegExp) =>
    until(`an event ${pattern}`, SECONDS, async () =>
      pattern.test(await lab.kubectl('describe', 'fbj', name, '--namespace', namespace)) ? true : null,
    );

  t.test('each in its namespace', async (t) => {
    // Concurrently, because the Job controller waits before it replaces a pod.
    t.jobs = 8;

    t.test(
      'what only the user can change ends the job at once, in the words of its pod',
      { buffered: true },
      async (t) => {
        const namespace = await lab.namespace('invalid');
        await lab.createJob(namespace, 'layers');
        const message = 'adapter.layers: 40 are more than the 24 that the model has';
        await lab.play(namespace, 'layers', 'server', {
          kind: 'ends',
          exitCode: 2,
          message: says('InvalidInput', message),
        });
        const { failed: condition, restarts } = await failed(namespace, 'layers');
        t.match(condition, { status: 'True', reason: 'InvalidInput', message: `The server pod failed: ${message}` });
        t.equal(restarts, 1);
        t.match(
          await lab.kubectl('get', 'fbj', 'layers', '--namespace', namespace, '-o', 'wide'),
          /Failed .*adapter\.layers: 40/,
        );
        await event(namespace, 'layers', /Warning +InvalidInput .*adapter\.layers: 40/);
        await until('client pods are taken away', SECONDS, async () =>
          (await lab.pods(namespace, 'layers', 'client')).length === 0 ? true : null,
        );

        const shared = { persistentVolumeClaim: { claimName: 'one' } };
        await lab.createJob(namespace, 'shared', { volumes: { model: shared, clientData: shared } });
        t.match((await failed(namespace, 'shared')).failed, {
          reason: 'InvalidSpec',
          message: /spec\.volumes\.clientData/,
        });
        t.strictSame(await lab.objectsOf(namespace, 'shared'), []);

        const annotations = { 'container.apparmor.security.beta.kubernetes.io/worker': 'unconfined' };
        await lab.createJob(namespace, 'unconfined', { server: { podTemplate: { metadata: { annotations } } } });
        t.match((await failed(namespace, 'unconfined')).failed, {
          reason: 'InvalidSpec',
          message: /apparmor.* may not be set/,
        });
        t.strictSame(await lab.objectsOf(namespace, 'unconfined'), []);

        await lab.createJob(namespace, 'refused', {
          server: { resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } },
        });
        t.match(
          (await failed(namespace, 'refused')).failed,
          { reason: 'InvalidSpec', message: /must be less than or equal to cpu limit/ },
          'what the API server alone can tell',
        );
      },
    );

    t.test(
      'a pod that runs out of memory within its limit ends the job, and without a limit is retried',
      { buffered: true },
      async (t) => {
        const namespace = await lab.namespace('memory');
        const killed = { kind: 'ends', exitCode: 137, reason: 'OOMKilled' } as const;
        const message = 'the compute process was killed by the kernel: it is out of memory';
        const noticed = { kind: 'ends', exitCode: 71, message: says('OutOfMemory', message) } as const;
        const resources = { limits: { memory: '512Mi' } };

        await lab.createJob(namespace, 'killed', { server: { resources } });
        const raw = new Redis(redis.url);
        t.teardown(() => raw.disconnect());
        const { uid } = (await lab.jobThat('exists', namespace, 'killed', () => true)).metadata;
        await lab.play(namespace, 'killed', 'server', { kind: 'runs' });
        const keys = jobKeys(uid);
        const fence = await acquireFence(raw, keys);
        const planned = { server: 2 ** 31, client: 2 ** 29 };
        await new RedisProgress(raw, keys, fence, `${namespace}/killed`).write({
          ...sampleProgress(),
          memory: planned,
        });
        const warned = await lab.jobThat('warns', namespace, 'killed', ({ status }) => status?.memory !== undefined);
        t.strictSame(warned.status?.memory, planned);
        t.match(
          warned.status?.conditions?.find(({ type }) => type === 'MemorySufficient'),
          { status: 'False', reason: 'LimitBelowPlan', message: /server pod needs at least 2\.00 GiB .* is 512Mi/ },
        );
        await event(namespace, 'killed', /Warning +LimitBelowPlan /);
        await lab.play(namespace, 'killed', 'server', killed);
        const { failed: condition, restarts } = await failed(namespace, 'killed');
        t.match(condition, {
          reason: 'OutOfMemory',
          message:
            /its memory limit, 512Mi\. The plan is at least 2\.00 GiB for a server pod\. Raise spec\.server\.resources/,
        });
        t.equal(restarts, 1);

        await lab.createJob(namespace, 'noticed', { client: { resources } });
        await lab.play(namespace, 'noticed', 'server', { kind: 'runs' });
        await lab.play(namespace, 'noticed', 'client', noticed);
        t.match((await failed(namespace, 'noticed')).failed, {
          reason: 'OutOfMemory',
          message: `The client pod failed: ${message}. Raise spec.client.resources.limits.memory above 512Mi.`,
        });

        await lab.createJob(namespace, 'unlimited', { backoffLimit: 1 });
        await lab.play(namespace, 'unlimited', 'server', noticed);
        await lab.jobThat('has restarted', namespace, 'unlimited', (job) => job.status?.restarts === 1);
        await event(namespace, 'unlimited', /Warning +ServerRestarted .*out of memory/);
        // The Job controller waits ten seconds before it replaces a pod that failed.
        await lab.play(namespace, 'unlimited', 'server', killed);
        t.match((await failed(namespace, 'unlimited')).failed, {
          reason: 'OutOfMemory',
          message: /killed as memory ran out.*all retries of spec\.backoffLimit/,
        });
      },
    );

    t.test('a failed pod is retried within backoffLimit', { buffered: true }, async (t) => {
      const namespace = await lab.namespace('backoff');
      await lab.createJob(namespace, 'tiny', { backoffLimit: 1 });
      await lab.play(namespace, 'tiny', 'server', {
        kind: 'ends',
        exitCode: 1,
        message: says('InternalError', 'a defect'),
      });
      const { status } = await lab.jobThat('has restarted', namespace, 'tiny', (job) => job.status?.restarts === 1);
      t.equal(status?.phase, 'Pending');
      await event(namespace, 'tiny', /Warning +ServerRestarted .*a defect/);
      // The Job controller waits ten seconds before it replaces a pod that failed.
      await lab.play(namespace, 'tiny', 'server', {
        kind: 'ends',
        exitCode: 1,
        message: says('InternalError', 'a defect again'),
      });
      t.match((await failed(namespace, 'tiny')).failed, {
        reason: 'InternalError',
        message: /a defect again \(all retries of spec\.backoffLimit were used\)/,
      });
    });

    t.test(
      'a Redis that is away for all pods counts as often as the server tells of it, not once for each client pod',
      { buffered: true },
      async (t) => {
        const namespace = await lab.namespace('redis');
        await lab.createJob(namespace, 'tiny', { backoffLimit: 1, client: { pods: 8 } });
        await lab.play(namespace, 'tiny', 'server', { kind: 'runs' });
        const message = says('RedisUnusable', 'Redis at redis:6379 is a replica, which accepts no writes');
        for (let i = 0; i < 8; i++)
          await lab.play(namespace, 'tiny', 'client', { kind: 'ends', exitCode: 69, message });
        const told = await lab.jobThat('tells of it', namespace, 'tiny', ({ status }) =>
          /is a replica/.test(status?.message ?? ''),
        );
        t.match(told.status, {
          phase: 'Running',
          message: /^The server pod runs\. tiny-clients-.*: Redis at redis:6379 is a replica/,
        });
        const clientsJob = (path: string) =>
          lab.kubectl('get', 'job', 'tiny-clients', '--namespace', namespace, '-o', `jsonpath={.status.${path}}`);
        await until('the Job controller has seen all ends', SECONDS, async () =>
          /^0?$/.test(await clientsJob('active')) ? true : null,
        );
        t.strictSame([await clientsJob('failed'), await clientsJob('conditions')], ['', ''], 'none is counted');
        t.equal((await lab.job(namespace, 'tiny'))?.status?.phase, 'Running');

        await lab.createJob(namespace, 'never', { backoffLimit: 0 });
        await lab.play(namespace, 'never', 'server', { kind: 'ends', exitCode: 69, message });
        t.match((await failed(namespace, 'never')).failed, {
          reason: 'RedisUnusable',
          message: /The server pod failed: Redis at .* \(all retries of spec\.backoffLimit were used\)/,
        });
      },
    );

    t.test('a disruption does not count', { buffered: true }, async (t) => {
      const namespace = await lab.namespace('disruption');
      await lab.createJob(namespace, 'tiny', { backoffLimit: 0 });
      await Promise.all(
        (['server', 'client'] as const).map(async (role) => {
          const gone = await lab.play(namespace, 'tiny', role, { kind: 'evicted' });
          const next = await lab.pod(namespace, 'tiny', role);
          t.not(next.metadata.name, gone.metadata.name, `another ${role} pod`);
        }),
      );
      await lab.play(namespace, 'tiny', 'server', {
        kind: 'ends',
        exitCode: 130,
        message: says('Interrupted', 'stopped after a checkpoint'),
      });
      await lab.play(namespace, 'tiny', 'server', { kind: 'runs' });
      t.match((await lab.jobIn('Running', namespace, 'tiny')).status, { restarts: 0 });
      await event(namespace, 'tiny', /Normal +Disrupted .*low on resource: memory/);
      t.notMatch(await lab.kubectl('describe', 'fbj', 'tiny', '--namespace', namespace), /ServerRestarted/);
      await lab.play(namespace, 'tiny', 'server', { kind: 'ends', exitCode: 0 });
      await lab.jobIn('Succeeded', namespace, 'tiny');
    });

    t.test('deadlines, and the time to live', { buffered: true }, async (t) => {
      const namespace = await lab.namespace('deadlines');
      await lab.createJob(namespace, 'active', { activeDeadlineSeconds: 2 });
      await lab.createJob(namespace, 'start', { startDeadlineSeconds: 2, ttlSecondsAfterFinished: 3 });
      await lab.play(namespace, 'active', 'server', { kind: 'runs' });
      t.match((await failed(namespace, 'active')).failed, {
        reason: 'DeadlineExceeded',
        message: /longer than spec\.activeDeadlineSeconds \(2 s\)/,
      });
      t.match((await failed(namespace, 'start')).failed, {
        reason: 'StartDeadlineExceeded',
        message: /No server pod started within .* \(2 s\): start-server-/,
      });
      await until('its time is over', SECONDS, async () =>
        (await lab.job(namespace, 'start')) === null ? true : null,
      );
      await until('and all it made is gone', SECONDS, async () =>
        (await lab.objectsOf(namespace, 'start')).length === 0 ? true : null,
      );
    });

    t.test(
      'the status says why a pod waits, with the message of the component that delays it',
      { buffered: true },
      async (t) => {
        const namespace = await lab.namespace('waiting');
        // A full node, so that the scheduler reports what is missing.
        await lab.api.json('POST', '/api/v1/nodes', {
          body: { apiVersion: 'v1', kind: 'Node', metadata: { name: 'full' } },
        });
        t.teardown(() => lab.kubectl('delete', 'node', 'full'));
        const ready = [
          {
            type: 'Ready',
            status: 'True',
            lastHeartbeatTime: new Date().toISOString(),
            lastTransitionTime: new Date().toISOString(),
          },
        ];
        await lab.api.json('PATCH', '/api/v1/nodes/full/status', {
          contentType: 'application/merge-patch+json',
          body: {
            status: {
              allocatable: { cpu: '8', memory: '8Gi', pods: '0' },
              capacity: { cpu: '8', memory: '8Gi', pods: '0' },
              conditions: ready,
            },
          },
        });
        const output = { claim: { size: '1Gi' } };
        const hostPath = { output: { hostPath: { path: '/out' } } };
        await lab.createJob(namespace, 'gpu', {
          volumes: hostPath,
          server: { resources: { limits: { 'nvidia.com/gpu': 1 } } },
        });
        await lab.createJob(namespace, 'claim', {
          volumes: { output, model: { persistentVolumeClaim: { claimName: 'missing' } } },
        });
        const waits = (name: string, pattern: RegExp) =>
          lab.jobThat(
            `waits: ${pattern}`,
            namespace,
            name,
            ({ status }) => status?.phase === 'Pending' && pattern.test(status.message ?? ''),
          );
        await waits('gpu', /Insufficient nvidia\.com\/gpu/);
        await waits('claim', /persistentvolumeclaim "missing" not found/);
        // Reported once, with the scheduler's message at that time: the node may not be ready or not be registered yet.
        await event(namespace, 'gpu', /Warning +Unschedulable .*nodes (are )?available/);

        await lab.createJob(namespace, 'kubelet');
        // The scheduler's condition would replace a later one of the kubelet's.
        await waits('kubelet', /nodes are available/);
        await lab.play(namespace, 'kubelet', 'server', {
          kind: 'waits',
          reason: 'CreateContainerConfigError',
          message: 'secret "redis" not found',
        });
        await waits('kubelet', /secret "redis" not found/);
        await lab.play(namespace, 'kubelet', 'server', {
          kind: 'waits',
          reason: 'ImagePullBackOff',
          message: 'Back-off pulling image "example.org/none"',
        });
        const { status } = await waits('kubelet', /Back-off pulling image/);
        t.match(status?.conditions?.[0], { type: 'Running', status: 'False', reason: 'ImagePullBackOff' });
      },
    );

    t.test(
      'an object of another owner is left alone, and the job continues once it is gone',
      { buffered: true },
      async (t) => {
        const namespace = await lab.namespace('taken');
        await lab.create(RESOURCE.configMap, namespace, { metadata: { name: 'tiny-job' }, data: { mine: 'yes' } });
        await lab.createJob(namespace, 'tiny');
        const { status } = await lab.jobThat(
          'is blocked',
          namespace,
          'tiny',
          (job) => job.status?.conditions?.[0]?.reason === 'NameTaken',
        );
        t.match(status, { phase: 'Pending', message: /ConfigMap tiny-job exists already/ });
        t.match(await lab.get(RESOURCE.configMap, namespace, 'tiny-job'), { data: { mine: 'yes' } });
        await lab.kubectl('delete', 'configmap', 'tiny-job', '--namespace', namespace);
        const pod = await lab.pod(namespace, 'tiny', 'server');
        t.equal(pod.status?.phase, 'Pending', 'once the name is free, the server pod is created');
      },
    );

    t.test('an object deleted under a running job is created again', { buffered: true }, async (t) => {
      const namespace = await lab.namespace('again');
      await lab.createJob(namespace, 'tiny');
      const pod = await lab.pod(namespace, 'tiny', 'server');
      const token = await tokenOf(namespace, 'tiny');
      await lab.kubectl('delete', 'service,networkpolicy,secret', '--all', '--namespace', namespace);
      await until('all is there', SECONDS, async () =>
        (await lab.objectsOf(namespace, 'tiny')).length === 8 ? true : null,
      );
      t.equal((await lab.pod(namespace, 'tiny', 'server')).metadata.name, pod.metadata.name);
      t.equal(await tokenOf(namespace, 'tiny'), token, 'with the token that its pods have');
    });
  });

  t.test('none of these failures is logged as an error', async (t) => {
    await redis.kill();
    await until('it is told that Redis is away', SECONDS, () =>
      /Redis does not answer/.test(operator.output) ? true : null,
    );
    t.equal(await operator.end('SIGTERM'), 0);
    t.notMatch(operator.output, /forbidden|"level":"(error|fatal)"|"err":/);
    t.ok((operator.output.match(/Redis does not answer/g) ?? []).length <= 4, 'said once, not with every try');
  });

  t.test('a Secret deleted while no operator runs is created again with the same content', async (t) => {
    const token = await tokenOf('again', 'tiny');
    t.match(token, /^\S{40,}$/);
    await lab.kubectl('delete', 'secret', 'tiny-credentials', '--namespace', 'again');
    await lab.operator('redis://127.0.0.1:1', {}, t);
    await until('it is there', SECONDS, async () =>
      (await lab.get(RESOURCE.secret, 'again', 'tiny-credentials')) === null ? null : true,
    );
    t.equal(await tokenOf('again', 'tiny'), token);
  });

  t.test('an uncaught error is logged and counted; jobs continue', async (t) => {
    const thrower = `process.on('SIGUSR2', () => { Promise.reject(new Error('planted: a promise')); setTimeout(() => { throw new Error('planted: a timer'); }); });`;
    const namespace = await lab.namespace('unhandled');
    await redis.restart();
    const next = await lab.operator(redis.url, {
      environment: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(thrower)}` },
    });
    await next.logged('this replica leads');
    next.signal('SIGUSR2');
    await until('both are counted', SECONDS, async () =>
      /^fedbiot_operator_unhandled_errors_total 2$/m.test((await next.get('/metrics')).body) ? true : null,
    );
    await until('both are logged', SECONDS, () =>
      /planted: a promise[^]*planted: a timer/.test(next.output) ? true : null,
    );
    await lab.createJob(namespace, 'after');
    await lab.play(namespace, 'after', 'server', { kind: 'ends', exitCode: 0, message: says('Succeeded', 'done') });
    await lab.jobIn('Succeeded', namespace, 'after');
    t.equal(await next.end('SIGTERM'), 0);
  });
});
