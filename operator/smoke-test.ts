// Run by `helm test` in the operator's image: node operator/smoke-test.ts NAMESPACE NAME SECONDS. Creates a job of one
// round with the examples in the worker image, follows it to its end and deletes it.
import { setTimeout as sleep } from 'node:timers/promises';
import Type from 'typebox';
import Value from 'typebox/value';
import { ApiClient } from './kube/api-client.ts';
import { CODE, isApiError } from './kube/api-error.ts';
import { loadKubeConfig } from './kube/kube-config.ts';
import { collectionPath, objectPath, RESOURCE } from './objects/resources.ts';

const PAUSE_MS = 1_000;

const Answer = Type.Object({
  status: Type.Optional(
    Type.Object({
      phase: Type.Optional(Type.String()),
      roundText: Type.Optional(Type.String()),
      message: Type.Optional(Type.String()),
    }),
  ),
});

const SPEC = {
  model: { uri: 'quickstart/model' },
  data: {
    train: { uri: 'quickstart/data/train.jsonl' },
    public: { uri: 'quickstart/data/public.jsonl' },
    eval: { uri: 'quickstart/data/eval.jsonl' },
  },
  federation: { rounds: 1, clients: 2, local: { batchSize: 8 } },
  evaluation: { task: 'qa', maxNewTokens: 8 },
};

const [namespace, name, seconds] = process.argv.slice(2);
if (namespace === undefined || name === undefined || seconds === undefined) {
  process.stderr.write('usage: node operator/smoke-test.ts NAMESPACE NAME SECONDS\n');
  process.exit(2);
}
const deadline = Date.now() + Number(seconds) * 1000;
const api = new ApiClient({ kubeConfig: loadKubeConfig(null), request: () => {} });
const path = objectPath(RESOURCE.fedbiotJob, namespace, name);
const print = (text: string) => void process.stdout.write(`${text}\n`);

try {
  await deleteJob(); // A killed test may have left one.
  const { apiVersion, kind } = RESOURCE.fedbiotJob;
  await api.json('POST', collectionPath(RESOURCE.fedbiotJob, namespace), {
    body: { apiVersion, kind, metadata: { name }, spec: SPEC },
  });
  print(`created the job ${namespace}/${name}`);
  if ((await finalPhase()) === 'Succeeded') await deleteJob();
  else process.exitCode = 1; // The job is kept for inspection.
} finally {
  api.close();
}

/** Prints each change of the status until the job ends; returns the final phase. */
async function finalPhase(): Promise<'Succeeded' | 'Failed'> {
  for (let printed = ''; ; await sleep(PAUSE_MS)) {
    const {
      phase = 'not seen by the operator yet',
      roundText,
      message,
    } = Value.Parse(Answer, await api.json('GET', path)).status ?? {};
    const now = [
      phase,
      ...(roundText === undefined ? [] : [`round ${roundText}`]),
      ...(message === undefined ? [] : [message]),
    ].join(', ');
    if (now !== printed) print(now);
    printed = now;
    if (phase === 'Succeeded' || phase === 'Failed') return phase;
    if (Date.now() > deadline) throw new Error(`the job has not ended within ${seconds} s; it is kept for inspection`);
  }
}

/** Deletes the job and its objects, and waits until it is gone. */
async function deleteJob(): Promise<void> {
  for (;;) {
    try {
      await api.json('DELETE', path, { query: { propagationPolicy: 'Foreground' } });
    } catch (error) {
      if (isApiError(error, CODE.notFound)) return;
      throw error;
    }
    if (Date.now() > deadline) throw new Error(`the job ${name} was not deleted within ${seconds} s`);
    await sleep(PAUSE_MS);
  }
}
