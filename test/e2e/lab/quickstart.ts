// Run by quickstart.test.ts in namespaces of its own: jobs on a node with real containers, against the same jobs in one process.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { parseDocument } from 'yaml';
import { ctr } from '../../cluster/lab/containerd.ts';
import { run } from '../../cluster/run.ts';
import { startLab } from '../../cluster/lab/start.ts';
import type { LabParts } from '../../cluster/lab/start.ts';
import { IMAGES } from '../../support/lab-images.ts';
import { until } from '../../support/until.ts';
import { SYSTEM, install, makeNamespace, makeVolume } from './install.ts';
import { LabObjects } from './objects.ts';
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
await install(lab).catch(async (error: unknown) => {
  await report();
  throw error;
});
const objects = new LabObjects(lab);

/** What the job makes in one process. */
const embedded = join(lab.folder, 'embedded');
await run(process.execPath, [join(ROOT, 'worker/launch.js'), 'run', MANIFEST, '--out', embedded, '--quiet']);
const expected = await adapterHash(embedded);

t.test('a job makes on the cluster the bytes that it makes in one process', async (t) => {
  const output = await prepare('plain');
  await lab.kubectl(['apply', '--namespace=plain', `--filename=${MANIFEST}`]);
  await succeeded('plain');
  t.comment(await lab.kubectl(['get', 'fedbiotjobs', '--namespace=plain']));
  t.equal(await adapterHash(output), expected, 'the adapter in the volume');
  t.equal((await objects.status('plain', JOB)).adapterSha256, expected, 'the adapter in the status');
  await lab.kubectl(['wait', '--for=condition=Succeeded', `fedbiotjob/${JOB}`, '--namespace=plain', '--timeout=60s']);

  const made = async () => {
    const kinds = 'jobs,pods,configmaps,secrets,services,persistentvolumeclaims,networkpolicies';
    return await lab.kubectl(['get', kinds, '--namespace=plain', '--output=name', `--selector=fedbiot.io/job=${JOB}`]);
  };
  t.match(await made(), `job.batch/${JOB}-server`, 'what it made can be told by its label');
  await lab.kubectl(['delete', 'fedbiotjob', JOB, '--namespace=plain', '--timeout=180s']);
  await until('what the job made is gone with it', 180, async () => ((await made()) === '' ? true : null));
});

t.test('the same bytes with each part killed once within a round', async (t) => {
  const output = await prepare('faults');
  await applyWith('faults', { pods: 2 });

  await training(1);
  await crash('faults', await runningPod('client'));

  await training(2);
  await crash(SYSTEM, 'redis-0');

  await training(3);
  await crash('faults', await runningPod('server'));

  await training(4);
  const leader = await until('the operator has a leader', 180, () => objects.leader());
  await lab.kubectl(['delete', 'pod', await podOf(leader), `--namespace=${SYSTEM}`, '--force', '--grace-period=0']);

  await succeeded('faults');
  t.equal(await adapterHash(output), expected, 'the adapter in the volume');
  const { restarts, adapterSha256 } = await objects.status('faults', JOB);
  t.equal(adapterSha256, expected, 'the adapter in the status');
  t.equal(restarts, 1, 'one server pod was replaced');
  t.match(await resumedFrom(output), [null, Number], 'which went on from a checkpoint');
  const redis = await objects.pod(SYSTEM, 'redis-0');
  t.equal(redis.status?.containerStatuses?.[0]?.restartCount, 1, 'Redis was started again');
  t.not(await objects.leader(), leader, 'another replica leads');
});

t.test('GPUs', async (t) => {
  await prepare('gpus');
  await t.test('a pod sees those it asked for', async (t) => {
    await lab.kubectl(['apply', '--namespace=gpus', '--filename=-'], JSON.stringify(gpuPod(2)));
    await lab.kubectl(['wait', '--namespace=gpus', '--for=jsonpath={.status.phase}=Succeeded', 'pod/asks', '--timeout=180s']);
    t.match(await lab.kubectl(['logs', '--namespace=gpus', 'asks']), /^GPU-\d,GPU-\d\n$/);
  });

  await t.test('a job that asks for more than there are says so in the scheduler’s words', async (t) => {
    await applyWith('gpus', { resources: { limits: { 'nvidia.com/gpu': GPUS + 1 } } });
    const message = await until('the status has the reason', 180, async () => {
      const status = await objects.status('gpus', JOB);
      return status.message?.includes('nvidia.com/gpu') ? status.message : null;
    });
    t.match(message, /Insufficient nvidia\.com\/gpu/);
  });
});

/** A namespace for the job, and a volume for its claim: the folder that it is. */
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
  if (phase !== 'Succeeded') throw new Error(`the job in ${namespace} failed: ${(await objects.status(namespace, JOB)).message}`);
}

/** The job of the faults is in the round after this one, and its clients are at work. */
const training = (round: number) =>
  until(`clients train after round ${round}`, 400, async () => {
    const { round: finished = 0, activity, phase, message } = await objects.status('faults', JOB);
    if (phase === 'Failed') throw new Error(`the job failed: ${message}`);
    return finished >= round && activity === 'Training' ? finished : null;
  });

const runningPod = (role: 'server' | 'client') =>
  until(`a ${role} pod runs`, 180, async () => {
    const pods = await objects.pods('faults', JOB, role);
    return pods.find(({ status }) => status?.phase === 'Running')?.metadata?.name ?? null;
  });

/** Ends a pod's container without a chance to say good-bye: even a pod deleted by force gets a SIGTERM. */
async function crash(namespace: string, pod: string): Promise<void> {
  const { status } = await objects.pod(namespace, pod);
  const container = status?.containerStatuses?.[0]?.containerID?.replace('containerd://', '');
  if (container === undefined) throw new Error(`${pod} has no container`);
  await ctr('tasks', 'kill', '--signal=SIGKILL', container);
}

/** The replica that a lease's holder names. */
async function podOf(holder: string): Promise<string> {
  const names = (await lab.kubectl(['get', 'pods', `--namespace=${SYSTEM}`, '--output=jsonpath={.items[*].metadata.name}'])).split(' ');
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

/** After which round each server pod of a job began, as its metrics tell; null: from the start. */
async function resumedFrom(output: string): Promise<readonly unknown[]> {
  const lines = (await readFile(join(output, 'metrics.jsonl'), 'utf8')).trimEnd().split('\n');
  const events: readonly { event: string; resumedFromRound: unknown }[] = lines.map((line) => JSON.parse(line));
  return events.filter(({ event }) => event === 'run').map(({ resumedFromRound }) => resumedFromRound);
}

async function adapterHash(root: string): Promise<string> {
  return createHash('sha256').update(await readFile(join(root, 'adapter/adapter_model.safetensors'))).digest('hex');
}
