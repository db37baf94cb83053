// Pods that have ended in part, or without contact: the status of their jobs, and how the jobs end.
import t from 'tap';
import { noControllers } from '../support/control-plane.ts';
import { startLab } from '../support/operator-lab.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const SECONDS = 60;

const says = (reason: string, message: string) => JSON.stringify({ reason, message });

t.test('pods', { skip: noControllers || noRedis }, async (t) => {
  const lab = await startLab(t);
  const operator = await lab.operator((await startRedis(t)).url);
  await operator.logged('this replica leads');
  const noPods = (namespace: string, job: string) =>
    until('no pods', SECONDS, async () => ((await lab.pods(namespace, job)).length === 0 ? true : null));

  t.test('each in its namespace', async (t) => {
    t.jobs = 4;

    t.test(
      'a sidecar runs on after the server has finished: the job succeeds, and the pod goes',
      { buffered: true },
      async (t) => {
        const namespace = await lab.namespace('well');
        await lab.createJob(namespace, 'tune');
        await lab.play(namespace, 'tune', 'client', { kind: 'runs' });
        await lab.play(namespace, 'tune', 'server', { kind: 'runs' });
        await lab.jobIn('Running', namespace, 'tune');
        const { metadata } = await lab.play(namespace, 'tune', 'server', {
          kind: 'lingers',
          exitCode: 0,
          message: says('Succeeded', 'done'),
        });
        const { status } = await lab.jobThat(
          'says what it waits for',
          namespace,
          'tune',
          (job) => job.status?.conditions?.[0]?.reason === 'WorkerEnded',
        );
        t.match(status, {
          phase: 'Running',
          message: `The worker of ${metadata.name} has ended with exit code 0; other containers of its pod still run: mesh-proxy.`,
        });
        await lab.jobIn('Succeeded', namespace, 'tune');
        await until('the server pod goes', SECONDS, async () =>
          (await lab.pods(namespace, 'tune', 'server')).length === 0 ? true : null,
        );
      },
    );

    t.test(
      'a sidecar runs on after a worker has found what only the user can change: the job fails in its words',
      { buffered: true },
      async (t) => {
        const namespace = await lab.namespace('badly');
        for (const role of ['server', 'client'] as const) {
          await lab.createJob(namespace, role);
          await lab.play(namespace, role, role, {
            kind: 'lingers',
            exitCode: 2,
            message: says('InvalidInput', 'there are no records'),
          });
          const { status } = await lab.jobIn('Failed', namespace, role);
          t.match(
            status?.conditions?.find(({ type }) => type === 'Failed'),
            { reason: 'InvalidInput', message: `The ${role} pod failed: there are no records` },
          );
          await noPods(namespace, role);
        }
      },
    );

    t.test(
      'a sidecar runs on after a worker that is to be tried again: its pod is replaced, and the try counts',
      { buffered: true },
      async (t) => {
        const namespace = await lab.namespace('again');
        await lab.createJob(namespace, 'tune', { backoffLimit: 1 });
        const first = await lab.play(namespace, 'tune', 'server', {
          kind: 'lingers',
          exitCode: 1,
          message: says('InternalError', 'a passing fault'),
        });
        await lab.jobThat('says what it waits for', namespace, 'tune', (job) =>
          /exit code 1; other containers of its pod still run: mesh-proxy/.test(job.status?.message ?? ''),
        );
        await lab.jobThat('has another try', namespace, 'tune', ({ status }) => status?.restarts === 1);
        const second = await until(
          'another pod',
          SECONDS,
          async () =>
            (await lab.pods(namespace, 'tune', 'server')).find(
              ({ metadata }) => metadata.name !== first.metadata.name,
            ) ?? null,
        );
        t.ok(second);
        await lab.play(namespace, 'tune', 'server', {
          kind: 'lingers',
          exitCode: 1,
          message: says('InternalError', 'a passing fault'),
        });
        const { status } = await lab.jobIn('Failed', namespace, 'tune');
        t.match(
          status?.conditions?.find(({ type }) => type === 'Failed'),
          { reason: 'InternalError', message: /a passing fault \(all retries/ },
        );
      },
    );

    t.test('a pod on an unreachable node', { buffered: true }, async (t) => {
      const namespace = await lab.namespace('lost');
      const room = { cpu: '8', memory: '8Gi', pods: '2' };
      await lab.api.json('POST', '/api/v1/nodes', {
        body: {
          apiVersion: 'v1',
          kind: 'Node',
          metadata: { name: 'silent' },
          spec: { taints: [{ key: 'silent', effect: 'NoSchedule' }] },
        },
      });
      const ready = [
        {
          type: 'Ready',
          status: 'True',
          lastHeartbeatTime: new Date().toISOString(),
          lastTransitionTime: new Date().toISOString(),
        },
      ];
      await lab.api.json('PATCH', '/api/v1/nodes/silent/status', {
        contentType: 'application/merge-patch+json',
        body: { status: { allocatable: room, capacity: room, conditions: ready } },
      });
      await lab.createJob(namespace, 'tune', {
        volumes: { output: { hostPath: { path: '/out' } } },
        server: { tolerations: [{ key: 'silent', operator: 'Exists' }] },
      });
      await until('its server pod has a node', SECONDS, async () =>
        (await lab.pod(namespace, 'tune', 'server')).spec?.nodeName === 'silent' ? true : null,
      );
      const { metadata } = await lab.play(namespace, 'tune', 'server', { kind: 'runs' });
      await lab.jobIn('Running', namespace, 'tune');
      // The node controller waits for most of a minute.
      const { status } = await lab.jobThat(
        'says that the node is lost',
        namespace,
        'tune',
        (job) => job.status?.conditions?.[0]?.reason === 'NodeLost',
        120,
      );
      t.match(status, {
        phase: 'Pending',
        message: `${metadata.name}: its node silent does not respond. Kubernetes replaces the pod unless the node comes back.`,
      });
    });
  });

  t.test('none of these failures is logged as an error', async (t) => {
    t.equal(await operator.end('SIGTERM'), 0);
    t.notMatch(operator.output, /forbidden|"level":"(error|fatal)"|"err":/);
  });
});
