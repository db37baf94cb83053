import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { LEASE_NAME } from '../../operator/leader/kubernetes-lease.ts';
import { SYSTEM } from '../support/chart.ts';
import { noControllers } from '../support/control-plane.ts';
import { operatorIn } from '../support/operator-access.ts';
import { startLab } from '../support/operator-lab.ts';
import type { OperatorLab } from '../support/operator-lab.ts';
import { OperatorProcess } from '../support/operator-process.ts';
import { noRedis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const SECONDS = 60;

const holderOf = (lab: OperatorLab) =>
  lab.kubectl('get', 'lease', LEASE_NAME, '--namespace', SYSTEM, '-o', 'jsonpath={.spec.holderIdentity}');
const LEADING = 'leader_election_master_status{name="fedbiot-operator"}';

t.test('wrong options are errors with a message', async (t) => {
  const ended = async (args: readonly string[], environment = {}) => {
    const operator = new OperatorProcess(t, { args, environment });
    return { code: await operator.ended(), output: operator.output };
  };
  t.match(await ended(['--port', 'x']), { code: 2, output: /^error: option '--port <number>'.*\nhint: / });
  t.match(await ended(['--worker-image', 'i', '--kubeconfig', '/none']), {
    code: 2,
    output: /^error: \/none cannot be read.*\nhint: /,
  });
  const kubeconfig = join(t.testdir(), 'kubeconfig');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
      users: [{ name: 'u', user: { token: 't' } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  );
  t.match(await ended(['--worker-image', 'i', '--kubeconfig', kubeconfig]), {
    code: 2,
    output: /namespace for the lease.*\nhint: .*--lease-namespace/,
  });
  t.match(await ended(['--version']), { code: 0, output: /^\d+\.\d+\.\d+\n$/ });
});

t.test('replicas', { skip: noControllers || noRedis }, async (t) => {
  const lab = await startLab(t);
  const redis = await startRedis(t);
  const started = (t: Test) => lab.operator(redis.url, {}, t);

  t.test('without the kind FedBiOTJob it reports that, and continues once the CRD is installed', async (t) => {
    await lab.kubectl('delete', '--filename', 'crds/fedbiotjob.yaml');
    const operator = await started(t);
    await operator.logged('the kind FedBiOTJob is not installed in the cluster: kubectl apply -f crds/fedbiotjob.yaml');
    t.match(await operator.get('/readyz'), { status: 503, body: /kubectl apply -f crds\/fedbiotjob\.yaml/ });
    t.equal((await operator.get('/healthz')).status, 200);
    await lab.kubectl('create', '--filename', 'crds/fedbiotjob.yaml');
    await until('ready', SECONDS, async () => ((await operator.get('/readyz')).status === 200 ? true : null));
    await operator.logged('this replica leads');
    t.equal(await operator.end('SIGINT'), 0);
    t.equal(await holderOf(lab), '', 'the lease is given back');
  });

  t.test(
    'one leads; stopped, it hands over at once; asleep, it is waited for, and does not lead when it wakes',
    async (t) => {
      const namespace = await lab.namespace('hand-over');
      const [a, b] = [await started(t), await started(t)];
      await Promise.all([a.logged('ready'), b.logged('ready')]);
      const leader = await until('one leads', SECONDS, async () =>
        (await a.metric(LEADING)) === 1 ? a : (await b.metric(LEADING)) === 1 ? b : null,
      );
      const other = leader === a ? b : a;
      t.equal(await other.metric(LEADING), 0);
      await lab.createJob(namespace, 'first');
      await lab.jobIn('Pending', namespace, 'first');
      t.equal(
        await other.metric('controller_runtime_reconcile_total{controller="fedbiotjob",result="success"}'),
        0,
        'the other only watches',
      );
      t.equal(
        await other.metric(`fedbiot_job_phase{namespace="${namespace}",job="first",phase="Pending"}`),
        1,
        'and serves what it sees',
      );

      t.equal(await leader.end('SIGTERM'), 0);
      await other.logged('this replica leads');
      await lab.createJob(namespace, 'second');
      await lab.jobIn('Pending', namespace, 'second');

      const third = await started(t);
      await third.logged('ready');
      other.signal('SIGSTOP');
      await lab.createJob(namespace, 'third');
      t.strictSame((await lab.job(namespace, 'third'))?.status, { observedGeneration: -1 }, 'nobody leads');
      await third.logged('this replica leads');
      await lab.jobIn('Pending', namespace, 'third');
      other.signal('SIGCONT');
      t.equal(await other.ended(), 1);
      t.match(other.output, /"level":"fatal".*the lead is lost/, 'who was asleep finds out by itself');
      t.match(await holderOf(lab), /^.+_[0-9a-f-]{36}$/);
      t.equal(await third.end('SIGTERM'), 0);
    },
  );

  t.test('a leader that cannot renew ends, so that a fresh one starts', async (t) => {
    const operator = await started(t);
    await operator.logged('this replica leads');
    await lab.kubectl(
      'patch',
      'lease',
      LEASE_NAME,
      '--namespace',
      SYSTEM,
      '--type=merge',
      '--patch',
      '{"spec":{"holderIdentity":"another"}}',
    );
    t.equal(await operator.ended(), 1);
    t.match(operator.output, /"level":"fatal".*the lead is lost/);
    t.equal(await holderOf(lab), 'another', "another's lease is not touched");
    await lab.kubectl('delete', 'lease', LEASE_NAME, '--namespace', SYSTEM);
  });

  t.test('after a leader is killed in the middle of a job, the next one continues where it was', async (t) => {
    const namespace = await lab.namespace('killed');
    const first = await started(t);
    await lab.createJob(namespace, 'tiny');
    await lab.play(namespace, 'tiny', 'server', { kind: 'runs' });
    await lab.jobIn('Running', namespace, 'tiny');
    const before = await lab.pods(namespace, 'tiny');
    const second = await started(t);
    await second.logged('ready');
    await first.end('SIGKILL');
    await lab.play(namespace, 'tiny', 'server', { kind: 'ends', exitCode: 0 });
    const { status } = await lab.jobIn('Succeeded', namespace, 'tiny');
    t.match(status?.restarts, 0);
    t.strictSame(
      new Set((await lab.pods(namespace, 'tiny')).map(({ metadata }) => metadata.uid)),
      new Set(before.map(({ metadata }) => metadata.uid)),
      'no pod was made or lost',
    );
    await second.end('SIGTERM');
  });

  t.test('the API server goes away for a while', async (t) => {
    const namespace = await lab.namespace('away');
    // A single replica has no lease to lose.
    const operator = await lab.operator(redis.url, { args: ['--no-leader-elect'] }, t);
    await lab.createJob(namespace, 'tiny');
    await lab.play(namespace, 'tiny', 'server', { kind: 'runs' });
    await lab.jobIn('Running', namespace, 'tiny');
    await lab.plane.stop();
    t.match(await operator.get('/readyz'), { status: 200 });
    t.match(await operator.get('/api/v1/jobs', 'token'), { status: 503, body: /unavailable/ });
    await operator.logged('watch interrupted');
    await lab.plane.start();
    await lab.play(namespace, 'tiny', 'server', { kind: 'ends', exitCode: 0 });
    await lab.jobIn('Succeeded', namespace, 'tiny');
    t.ok(operator.isRunning);
    t.equal(await operator.end('SIGTERM'), 0);
  });

  t.test('metrics over authentication', async (t) => {
    const namespace = await lab.namespace('monitoring');
    for (const name of ['prometheus', 'nobody'])
      await lab.kubectl('create', 'serviceaccount', name, '--namespace', namespace);
    const reader = ['--clusterrole=fedbiot-metrics-reader', `--serviceaccount=${namespace}:prometheus`];
    await lab.kubectl('create', 'clusterrolebinding', 'prometheus', ...reader);
    const operator = await lab.operator(redis.url, { args: ['--metrics-auth'] }, t);
    await operator.logged('ready');
    t.match(await operator.get('/metrics'), { status: 401 });
    t.match(await operator.get('/metrics', await lab.tokenOf(namespace, 'nobody')), {
      status: 403,
      body: /forbidden-metrics/,
    });
    t.match(await operator.get('/metrics', await lab.tokenOf(namespace, 'prometheus')), {
      status: 200,
      body: /leader_election_master_status/,
    });
    t.equal(await operator.end('SIGTERM'), 0);
  });

  t.test('with permission for some namespaces, it works in these alone', async (t) => {
    const [ours, theirs] = [await lab.namespace('ours'), await lab.namespace('theirs')];
    await lab.kubectl('delete', 'clusterrolebinding', 'fedbiot-operator');
    await lab.apply(operatorIn(ours));
    const operator = await lab.operator(redis.url, { args: ['--namespaces', ours] }, t);
    for (const namespace of [ours, theirs]) await lab.createJob(namespace, 'tiny');
    await lab.jobIn('Pending', ours, 'tiny');
    t.strictSame((await lab.job(theirs, 'tiny'))?.status, { observedGeneration: -1 });
    t.equal(await operator.end('SIGTERM'), 0);
    t.notMatch(operator.output, /forbidden/);
  });
});
