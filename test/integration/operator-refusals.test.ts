// Refusals of a real API server, by its quotas, limits, policies and webhooks, to the operator or the Job controller:
// they are reported, and the job continues once the request is allowed.
import t from 'tap';
import { noControllers } from '../support/control-plane.ts';
import { startLab } from '../support/operator-lab.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const SECONDS = 60;

t.test('jobs with refused writes', { skip: noControllers || noRedis }, async (t) => {
  const lab = await startLab(t);
  const operator = await lab.operator((await startRedis(t)).url);
  await operator.logged('this replica leads');

  const quota = async (namespace: string, hard: object) => {
    await lab.apply({ apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'team', namespace }, spec: { hard } });
    await until('the quota counts', SECONDS, async () =>
      (await lab.kubectl('get', 'quota', 'team', '-n', namespace, '-o', 'jsonpath={.status.hard}')) === ''
        ? null
        : true,
    );
  };
  /** Denies requests for which `expression` is false, in one namespace. */
  const policy = async (namespace: string, rules: object, expression: string, validation: object = {}) => {
    const api = { apiVersion: 'admissionregistration.k8s.io/v1', metadata: { name: namespace } };
    await lab.apply({
      ...api,
      kind: 'ValidatingAdmissionPolicy',
      spec: { matchConstraints: { resourceRules: [rules] }, validations: [{ expression, ...validation }] },
    });
    const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': namespace } };
    await lab.apply({
      ...api,
      kind: 'ValidatingAdmissionPolicyBinding',
      spec: { policyName: namespace, validationActions: ['Deny'], matchResources: { namespaceSelector } },
    });
  };
  /** Waits until it denies: a policy takes effect with a delay. */
  const denies = (namespace: string, object: object) =>
    until('the policy counts', SECONDS, () =>
      lab.plane.kubectl(['create', '--namespace', namespace, '--dry-run=server', '--filename=-'], object).then(
        () => null,
        () => true,
      ),
    );
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'probe' },
    spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'a' }] } } },
  };
  const batchJobs = { apiGroups: ['batch'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['jobs'] };
  const waits = (namespace: string, name: string, reason: string, pattern: RegExp) =>
    lab.jobThat(
      `waits: ${pattern}`,
      namespace,
      name,
      ({ status }) =>
        status?.phase === 'Pending' && pattern.test(status.message ?? '') && status.conditions?.[0]?.reason === reason,
    );
  const event = (namespace: string, name: string, pattern: RegExp) =>
    until(`an event ${pattern}`, SECONDS, async () =>
      pattern.test(await lab.kubectl('describe', 'fbj', name, '--namespace', namespace)) ? true : null,
    );
  const failed = async (namespace: string, name: string) =>
    (await lab.jobIn('Failed', namespace, name)).status?.conditions?.find(({ type }) => type === 'Failed');

  t.test('each in its namespace', async (t) => {
    t.jobs = 10;

    t.test('a quota of claims blocks a job until it is raised; both deadlines apply', { buffered: true }, async (t) => {
      const namespace = await lab.namespace('claims');
      await quota(namespace, { persistentvolumeclaims: '0' });
      await lab.createJob(namespace, 'tune');
      const { status } = await waits(
        namespace,
        'tune',
        'Refused',
        /^The API server refuses PersistentVolumeClaim tune-output: .*exceeded quota: team/,
      );
      t.match(status, { startTime: /^20/, conditions: [{ type: 'Running', status: 'False' }] });
      await event(namespace, 'tune', /Warning +Refused .*exceeded quota: team/);
      await lab.createJob(namespace, 'active', { activeDeadlineSeconds: 3 });
      await lab.createJob(namespace, 'start', { startDeadlineSeconds: 3 });
      t.match(await failed(namespace, 'active'), {
        reason: 'DeadlineExceeded',
        message: /\(3 s\).*exceeded quota: team/,
      });
      t.match(await failed(namespace, 'start'), {
        reason: 'StartDeadlineExceeded',
        message: /No server pod started .*exceeded quota: team/,
      });
      await quota(namespace, { persistentvolumeclaims: '9' });
      const pod = await lab.pod(namespace, 'tune', 'server');
      t.equal(pod.status?.phase, 'Pending', 'once the quota allows the claim, the server pod is created');
    });

    t.test('a limit on claims', { buffered: true }, async (t) => {
      const namespace = await lab.namespace('limits');
      await lab.apply({
        apiVersion: 'v1',
        kind: 'LimitRange',
        metadata: { name: 'team', namespace },
        spec: { limits: [{ type: 'PersistentVolumeClaim', max: { storage: '1Gi' } }] },
      });
      await lab.createJob(namespace, 'tune');
      const { status } = await waits(
        namespace,
        'tune',
        'Refused',
        /maximum storage usage per PersistentVolumeClaim is 1Gi/,
      );
      t.match(status?.conditions, [{ type: 'Running', status: 'False' }], 'the job waits for a larger limit');
    });

    t.test('a quota of Jobs: existing Jobs can still be suspended', { buffered: true }, async (t) => {
      const namespace = await lab.namespace('one-job');
      await quota(namespace, { 'count/jobs.batch': '1' });
      await lab.createJob(namespace, 'tune');
      await waits(namespace, 'tune', 'Refused', /Job tune-clients: .*exceeded quota/);
      await lab.play(namespace, 'tune', 'server', { kind: 'runs' });
      const { status } = await lab.jobIn('Running', namespace, 'tune');
      t.match(status?.message, /^The server pod runs\. The API server refuses Job tune-clients/);
      await lab.kubectl(
        'patch',
        'fbj',
        'tune',
        '--namespace',
        namespace,
        '--type=merge',
        '--patch',
        '{"spec":{"suspend":true}}',
      );
      await until('no pods', SECONDS, async () => ((await lab.pods(namespace, 'tune')).length === 0 ? true : null));
      t.match(
        (await lab.jobIn('Suspended', namespace, 'tune')).status?.message,
        /^spec\.suspend is true\. The API server refuses Job tune-clients/,
      );
    });

    for (const [reason, code] of [
      ['Forbidden', 403],
      ['Invalid', 422],
    ] as const) {
      t.test(`an admission policy that answers ${code}`, { buffered: true }, async (t) => {
        const namespace = await lab.namespace(`policy-${code}`);
        await policy(namespace, batchJobs, "has(object.metadata.labels) && 'team' in object.metadata.labels", {
          message: 'every Job needs the label team',
          reason,
        });
        await denies(namespace, job);
        await lab.createJob(namespace, 'tune');
        const { status } = await waits(
          namespace,
          'tune',
          'Refused',
          /Job tune-server: .*every Job needs the label team/,
        );
        t.equal(status?.phase, 'Pending', 'a policy may change');
        await lab.kubectl('delete', 'validatingadmissionpolicybinding', namespace);
        const pod = await lab.pod(namespace, 'tune', 'server');
        t.equal(pod.status?.phase, 'Pending', 'without the policy, the server pod is created');
      });
    }

    t.test(
      'a policy that denies changes of Jobs: the end is reported, and pods stop once it is gone',
      { buffered: true },
      async (t) => {
        const namespace = await lab.namespace('frozen');
        await lab.createJob(namespace, 'tune', { activeDeadlineSeconds: 12 });
        await lab.play(namespace, 'tune', 'server', { kind: 'runs' });
        await lab.jobIn('Running', namespace, 'tune');
        await policy(namespace, { ...batchJobs, operations: ['UPDATE'] }, '!object.spec.suspend', {
          message: 'nobody suspends',
          reason: 'Forbidden',
        });
        t.match(await failed(namespace, 'tune'), { reason: 'DeadlineExceeded' });
        await event(namespace, 'tune', /Warning +Refused .*to suspend Job tune-\w+: .*nobody suspends/);
        t.equal((await lab.pods(namespace, 'tune', 'server')).length, 1);
        await lab.kubectl('delete', 'validatingadmissionpolicybinding', namespace);
        await until('no pods', SECONDS, async () => ((await lab.pods(namespace, 'tune')).length === 0 ? true : null));
      },
    );

    t.test('a webhook that does not answer', { buffered: true }, async (t) => {
      const namespace = await lab.namespace('webhook');
      const clientConfig = { url: 'https://127.0.0.1:1/' };
      const webhook = {
        name: 'check.example.org',
        clientConfig,
        rules: [{ ...batchJobs, apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'] }],
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
      };
      const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': namespace } };
      await lab.apply({
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingWebhookConfiguration',
        metadata: { name: namespace },
        webhooks: [{ ...webhook, namespaceSelector }],
      });
      const wall = {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'probe' },
        spec: { podSelector: {} },
      };
      await denies(namespace, wall);
      await lab.createJob(namespace, 'tune');
      const { status } = await waits(
        namespace,
        'tune',
        'Refused',
        /NetworkPolicy tune-server: .*failed calling webhook "check\.example\.org"/,
      );
      t.match(status?.conditions, [{ type: 'Running', status: 'False' }], 'the job waits for the webhook');
      t.strictSame(await lab.objectsOf(namespace, 'tune'), [], 'nothing is created before its network policies');
    });

    t.test('a template that is not a valid pod ends the job at once', { buffered: true }, async (t) => {
      const namespace = await lab.namespace('malformed');
      await lab.createJob(namespace, 'tune', { server: { affinity: { nodeAffinity: 'near' } } });
      t.match(await failed(namespace, 'tune'), {
        reason: 'InvalidSpec',
        message: /cannot unmarshal|cannot be handled|nodeAffinity/,
      });
    });

    t.test('pods of either role that the Job controller may not create', { buffered: true }, async (t) => {
      const namespace = await lab.namespace('pods');
      await quota(namespace, { 'limits.memory': '1Gi' });
      await lab.createJob(namespace, 'tune');
      await waits(
        namespace,
        'tune',
        'FailedCreate',
        /^tune-server: Error creating: .*failed quota: team: must specify limits\.memory/,
      );
      await event(namespace, 'tune', /Warning +FailedCreate .*must specify limits\.memory/);
      await lab.createJob(namespace, 'late', { startDeadlineSeconds: 12 });
      t.match(await failed(namespace, 'late'), {
        reason: 'StartDeadlineExceeded',
        message: /No server pod .*must specify limits\.memory/,
      });

      // The quota has room for one pod, whichever the Job controller creates first.
      const memory = (limit: string) => ({ resources: { limits: { memory: limit } } });
      await lab.createJob(namespace, 'half', { server: memory('1Gi'), client: memory('2Gi') });
      await lab.play(namespace, 'half', 'server', { kind: 'runs' });
      await lab.jobThat(
        'says that it has no clients',
        namespace,
        'half',
        ({ status }) =>
          status?.phase === 'Running' &&
          /^The server pod runs\. half-clients: Error creating: .*exceeded quota: team/.test(status.message ?? ''),
      );
      await quota(namespace, { 'limits.memory': '4Gi' });
      const client = await lab.pod(namespace, 'half', 'client');
      t.equal(client.status?.phase, 'Pending', 'once the quota allows it, the client pod is created');
      const { status } = await lab.jobThat(
        'does not mention the quota any more',
        namespace,
        'half',
        (seen) =>
          seen.status?.message === 'The server pod runs.' || /no nodes available/.test(seen.status?.message ?? ''),
      );
      t.equal(status?.phase, 'Running');
    });
  });

  t.test('refusals are not logged as errors', async (t) => {
    t.match(operator.output, /the job is blocked/);
    t.equal(await operator.end('SIGTERM'), 0);
    t.notMatch(operator.output, /events cannot be read|"level":"(error|fatal)"|"err":/);
    const errors = operator.output.split('\n').filter((line) => line.includes('cannot reconcile'));
    t.notMatch(errors.join('\n'), /forbidden|denied|quota|webhook/);
  });
});
