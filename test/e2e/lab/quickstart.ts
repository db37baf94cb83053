// Run by quickstart.test.ts in new namespaces: a release of the chart and its jobs on a node with real containers,
// compared with the same jobs in one process.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { parseDocument } from 'yaml';
import { ctr } from '../../cluster/lab/containerd.ts';
import { run } from '../../cluster/run.ts';
import { startLab } from '../../cluster/lab/start.ts';
import type { LabParts } from '../../cluster/lab/start.ts';
import { readEvents } from '../../../worker/run/recorder.ts';
import { SYSTEM } from '../../support/chart.ts';
import { noKueue, startKueue } from '../../support/kueue.ts';
import { IMAGES } from '../../support/lab-images.ts';
import { until } from '../../support/until.ts';
import { OLDER, REDIS, installOlder, makeNamespace, makeVolume, smokeTest, uninstall, upgrade } from './install.ts';
import { LabObjects } from './objects.ts';
import { PreemptedQueue } from './preemption.ts';
import { HostileTenant } from './hostile.ts';
import { labReport } from './report.ts';

const ROOT = join(import.meta.dirname, '../../..');
const JOB = 'quickstart';
const GPUS = 8;

const MANIFEST = join(ROOT, 'examples/quickstart.yaml');

t.setTimeout(35 * 60_000);

const parts: LabParts = JSON.parse(process.argv[2] ?? '');
const lab = await startLab(parts, GPUS);
const report = async () => process.stderr.write(await labReport(lab));
t.teardown(async () => {
  if (!t.passing()) await report();
});
await installOlder(lab).catch(async (error: unknown) => {
  await report();
  throw error;
});
const objects = new LabObjects(lab);

/** The results of the job in one process. */
const embedded = join(lab.folder, 'embedded');
await run(process.execPath, [join(ROOT, 'worker/launch.js'), 'run', MANIFEST, '--out', embedded, '--quiet']);
const expected = await adapterHash(embedded);

const hostile = new HostileTenant(lab, objects, await readFile(MANIFEST, 'utf8'));

t.test('a hostile tenant uses the same cluster', async () => {
  await hostile.moveIn();
  await hostile.attackOperator();
});

t.test(
  'a job makes on the cluster the bytes that it makes in one process, while the release is upgraded',
  async (t) => {
    const output = await prepare('plain');
    await lab.kubectl(['apply', '--namespace=plain', `--filename=${MANIFEST}`]);
    await training('plain', output, 0);
    await hostile.attackRedis(
      t,
      await lab.kubectl(['get', 'fedbiotjob', JOB, '--namespace=plain', '--output=jsonpath={.metadata.uid}']),
    );
    const password = () =>
      lab.kubectl(['get', 'secret', 'fedbiot-redis', `--namespace=${SYSTEM}`, '--output=jsonpath={.data.password}']);
    const before = { pods: await runningPods('plain'), password: await password() };
    await upgrade(lab);
    t.strictSame({ pods: await runningPods('plain'), password: await password() }, before, 'pods and password stay');
    for (const pod of before.pods) t.match(pod, `:${OLDER}`, 'with the images that they began with');
    const { round = 0, phase } = await objects.status('plain', JOB);
    t.match(phase, 'Running', `the upgrade took place in round ${round + 1}`);
    await succeeded('plain');
    t.equal((await objects.status('plain', JOB)).restarts ?? 0, 0, 'no server pod was replaced');
    t.comment(await lab.kubectl(['get', 'fedbiotjobs', '--namespace=plain']));
    t.equal(await adapterHash(output), expected, 'the adapter in the volume');
    t.equal((await objects.status('plain', JOB)).adapterSha256, expected, 'the adapter in the status');
    for (const condition of ['Succeeded', 'Ready'])
      await lab.kubectl([
        'wait',
        `--for=condition=${condition}`,
        `fedbiotjob/${JOB}`,
        '--namespace=plain',
        '--timeout=60s',
      ]);

    const made = async () => {
      const kinds = 'jobs,pods,configmaps,secrets,services,persistentvolumeclaims,networkpolicies';
      return await lab.kubectl([
        'get',
        kinds,
        '--namespace=plain',
        '--output=name',
        `--selector=fedbiot.io/job=${JOB}`,
      ]);
    };
    t.match(await made(), `job.batch/${JOB}-server`, 'what it made can be told by its label');
    await lab.kubectl(['delete', 'fedbiotjob', JOB, '--namespace=plain', '--timeout=180s']);
    await until('what the job made is gone with it', 180, async () => ((await made()) === '' ? true : null));
  },
);

t.test('the same bytes with each part killed once within a round', async (t) => {
  const output = await prepare('faults');
  await applyWith('faults', { pods: 2 });

  await training('faults', output, 1);
  await crash('faults', await runningPod('client'));

  await training('faults', output, 2);
  await crash(SYSTEM, REDIS.pod);

  await training('faults', output, 3);
  await crash('faults', await runningPod('server'));

  await training('faults', output, 4);
  const evicted = await runningPod('server');
  await evict('faults', evicted);
  await until('another server pod runs', 180, async () => ((await runningPod('server')) === evicted ? null : true));

  await training('faults', output, 5);
  const leader = await until('the operator has a leader', 180, () => objects.leader());
  await lab.kubectl(['delete', 'pod', await podOf(leader), `--namespace=${SYSTEM}`, '--force', '--grace-period=0']);

  await succeeded('faults');
  t.equal(await adapterHash(output), expected, 'the adapter in the volume');
  const { restarts, adapterSha256 } = await objects.status('faults', JOB);
  t.equal(adapterSha256, expected, 'the adapter in the status');
  t.equal(restarts, 1, 'one server pod failed and was replaced');
  t.match(resumedFrom(output), [null, Number, Number], 'it and one that was evicted went on from checkpoints');
  const events = await lab.kubectl(['describe', 'fedbiotjob', JOB, '--namespace=faults']);
  t.match(events, new RegExp(`Normal +Disrupted .*${evicted} away .EvictionByEvictionAPI.`));
  t.equal(events.match(/ServerRestarted/g)?.length, 1);
  const redis = await objects.pod(SYSTEM, REDIS.pod);
  t.equal(redis.status?.containerStatuses?.[0]?.restartCount, 1, 'Redis was started again');
  t.not(await objects.leader(), leader, 'another replica leads');
});

t.test('the same bytes when Kueue preempts the job within a round', { skip: noKueue }, async (t) => {
  await startKueue(t, lab);
  const output = await prepare('preempted');
  const queue = new PreemptedQueue(lab, 'preempted');
  await queue.create();
  await lab.kubectl(['apply', '--namespace=preempted', '--filename=-'], queue.queued(await readFile(MANIFEST, 'utf8')));
  await training('preempted', output, 1);
  await queue.takeOver();
  const stopped = await until('the pods are gone', 180, async () => {
    const status = await objects.status('preempted', JOB);
    const pods = [await objects.pods('preempted', JOB, 'server'), await objects.pods('preempted', JOB, 'client')];
    const reserved = status.conditions?.find(({ type }) => type === 'QuotaReserved');
    return pods.flat().length === 0 && reserved?.status === 'False' ? status : null;
  });
  t.match(stopped, { phase: 'Pending', adapterSha256: undefined });
  await queue.giveBack();
  await succeeded('preempted');
  t.equal(await adapterHash(output), expected, 'the adapter in the volume');
  t.match(resumedFrom(output), [null, Number], 'the second server pod went on from a checkpoint');
});

t.test('the hostile tenant has ended no replica of the operator, nor hidden its jobs', async (t) => {
  t.strictSame(await hostile.operatorRestarts(), [0, 0]);
  for (const job of ['percent', 'options', 'flood', 'own'])
    t.match(await objects.status('hostile', job), { phase: 'Suspended' }, job);
  t.match(
    (await objects.status('faults', JOB)).conditions?.find(({ type }) => type === 'RedisIsolated'),
    { status: 'True', reason: 'UserPerRole' },
  );
});

t.test('GPUs', async (t) => {
  await prepare('gpus');
  await t.test('a pod has the GPUs that it requested', async (t) => {
    await lab.kubectl(['apply', '--namespace=gpus', '--filename=-'], JSON.stringify(gpuPod(2)));
    await lab.kubectl([
      'wait',
      '--namespace=gpus',
      '--for=jsonpath={.status.phase}=Succeeded',
      'pod/asks',
      '--timeout=180s',
    ]);
    t.match(await lab.kubectl(['logs', '--namespace=gpus', 'asks']), /^GPU-\d,GPU-\d\n$/);
  });

  await t.test('a job that requests too many GPUs reports it with the scheduler’s message', async (t) => {
    await applyWith('gpus', { resources: { limits: { 'nvidia.com/gpu': GPUS + 1 } } });
    const message = await until('the status has the reason', 180, async () => {
      const status = await objects.status('gpus', JOB);
      return status.message?.includes('nvidia.com/gpu') ? status.message : null;
    });
    t.match(message, /Insufficient nvidia\.com\/gpu/);
    const told = await until('the server pod runs', 180, async () => {
      const status = await objects.status('gpus', JOB);
      return status.phase === 'Running' ? status : null;
    });
    t.match(told, { message: /^The server pod runs\. .*nvidia/, clientPodsText: '0/1' });
    t.match(
      told.conditions?.find(({ type }) => type === 'ClientsReady'),
      { status: 'False', reason: 'Unschedulable' },
    );
  });
});

t.test('helm test runs a job of one round, and leaves nothing', async (t) => {
  t.match(await smokeTest(lab), /Succeeded/);
  t.equal(
    await lab.kubectl([
      'get',
      'fedbiotjobs,pods,serviceaccounts,roles,rolebindings',
      `--namespace=${SYSTEM}`,
      '--selector=app.kubernetes.io/component=test',
      '--output=name',
    ]),
    '',
  );
  t.equal(await lab.kubectl(['get', 'fedbiotjobs', `--namespace=${SYSTEM}`, '--output=name']), '');
});

t.test('uninstalling leaves exactly what the chart keeps', async (t) => {
  await uninstall(lab);
  const kinds =
    'deployments,statefulsets,services,secrets,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,leases,pods,persistentvolumeclaims';
  const left = await until('pods are gone', 120, async () => {
    const names = await lab.kubectl(['get', kinds, `--namespace=${SYSTEM}`, '--output=name']);
    return names.includes('pod/') ? null : names.trim().split('\n');
  });
  // These two belong to the namespace.
  const own = ['configmap/kube-root-ca.crt', 'serviceaccount/default'];
  t.strictSame(
    left.filter((name) => !own.includes(name)),
    [`persistentvolumeclaim/${REDIS.claim}`],
  );
  t.equal(
    await lab.kubectl([
      'get',
      'clusterroles,clusterrolebindings',
      '--selector=app.kubernetes.io/part-of=fedbiot',
      '--output=name',
    ]),
    '',
  );
  t.match(await objects.status('faults', JOB), { phase: 'Succeeded' }, 'jobs stay');
});

/** A namespace for the job, and a volume for its claim. Returns the volume's folder. */
async function prepare(namespace: string): Promise<string> {
  await makeNamespace(lab, namespace);
  return await makeVolume(lab, { namespace, name: `${JOB}-output` }, '10Gi');
}

/** The job, with client pods that differ from the example's. */
async function applyWith(namespace: string, client: object): Promise<void> {
  const document = parseDocument(await readFile(MANIFEST, 'utf8'));
  document.setIn(['spec', 'client'], client);
  await lab.kubectl(['apply', `--namespace=${namespace}`, '--filename=-'], document.toString());
}

async function succeeded(namespace: string): Promise<void> {
  const phase = await until(`the job in ${namespace} ends`, 900, async () => {
    const { phase } = await objects.status(namespace, JOB);
    return phase === 'Succeeded' || phase === 'Failed' ? phase : null;
  });
  if (phase !== 'Succeeded')
    throw new Error(`the job in ${namespace} failed: ${(await objects.status(namespace, JOB)).message}`);
}

/**
 * Waits until this many rounds have finished and the clients are training. Reads the server's own record, because the
 * status follows within two seconds, as long as a round takes on a fast machine.
 */
const training = (namespace: string, output: string, finishedRounds: number) =>
  until(`clients train after round ${finishedRounds}`, 400, async () => {
    const { phase, message } = await objects.status(namespace, JOB);
    if (phase === 'Succeeded' || phase === 'Failed')
      throw new Error(`the job ended before clients trained after round ${finishedRounds}: ${phase}: ${message}`);
    const now = recordOf(output).findLast(({ event }) => event === 'phase');
    return now?.event === 'phase' && now.phase === 'local' && now.round > finishedRounds ? now.round : null;
  });

const runningPod = (role: 'server' | 'client') =>
  until(`a ${role} pod runs`, 180, async () => {
    const pods = await objects.pods('faults', JOB, role);
    return pods.find(({ status }) => status?.phase === 'Running')?.metadata?.name ?? null;
  });

/** Uids and images of a job's pods. */
async function runningPods(namespace: string): Promise<readonly string[]> {
  const pods = [...(await objects.pods(namespace, JOB, 'server')), ...(await objects.pods(namespace, JOB, 'client'))];
  return pods.map(({ metadata, spec }) => `${metadata?.uid} ${spec?.containers[0]?.image}`);
}

/** Takes a pod from its node as a drain does. */
async function evict(namespace: string, name: string): Promise<void> {
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } };
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`;
  await lab.kubectl(['create', `--raw=${path}`, '--filename=-'], JSON.stringify(eviction));
}

/** Kills a pod's container. Even a pod that is deleted by force gets a SIGTERM. */
async function crash(namespace: string, pod: string): Promise<void> {
  const { status } = await objects.pod(namespace, pod);
  const container = status?.containerStatuses?.[0]?.containerID?.replace('containerd://', '');
  if (container === undefined) throw new Error(`${pod} has no container`);
  await ctr('tasks', 'kill', '--signal=SIGKILL', container);
}

/** The replica that holds the lease. */
async function podOf(holder: string): Promise<string> {
  const names = (
    await lab.kubectl(['get', 'pods', `--namespace=${SYSTEM}`, '--output=jsonpath={.items[*].metadata.name}'])
  ).split(' ');
  const name = names.find((pod) => holder.startsWith(pod));
  if (name === undefined) throw new Error(`no pod is ${holder}`);
  return name;
}

const gpuPod = (count: number) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'asks' },
  spec: {
    restartPolicy: 'Never',
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'asks',
        image: IMAGES.worker,
        command: ['node', '-p', 'process.env.NVIDIA_VISIBLE_DEVICES'],
        resources: { limits: { 'nvidia.com/gpu': count } },
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
  },
});

/** The round after which each server pod of a job began, from its metrics; null: it began with the first round. */
const resumedFrom = (output: string) =>
  recordOf(output).flatMap((each) => (each.event === 'run' ? [each.resumedFromRound] : []));

const recordOf = (output: string) => readEvents(join(output, 'metrics.jsonl'));

async function adapterHash(root: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(join(root, 'adapter/adapter_model.safetensors')))
    .digest('hex');
}
