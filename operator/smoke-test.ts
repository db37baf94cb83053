// Run by `helm test` from the operator's image: node operator/smoke-test.ts NAMESPACE NAME SECONDS. Makes a job of one
// round of the examples that the worker image carries, follows it to its end and removes it.
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
const tell = (text: string) => void process.stdout.write(`${text}\n`);

try {
  await removed(); // What a test that was killed has left.
  const { apiVersion, kind } = RESOURCE.fedbiotJob;
  await api.json('POST', collectionPath(RESOURCE.fedbiotJob, namespace), {
    body: { apiVersion, kind, metadata: { name }, spec: SPEC },
  });
  tell(`made the job ${namespace}/${name}`);
  if ((await ended()) === 'Succeeded') await removed();
  else process.exitCode = 1; // The job stays, for people to look at.
} finally {
  api.close();
}

/** How the job ends, told line by line. */
async function ended(): Promise<'Succeeded' | 'Failed'> {
  for (let told = ''; ; await sleep(PAUSE_MS)) {
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
    if (now !== told) tell(now);
    told = now;
    if (phase === 'Succeeded' || phase === 'Failed') return phase;
    if (Date.now() > deadline) throw new Error(`the job has not ended within ${seconds} s; it stays, to be looked at`);
  }
}

/** Deletes the job with all that was made for it, and waits until it is gone. */
async function removed(): Promise<void> {
  for (;;) {
    try {
      await api.json('DELETE', path, { query: { propagationPolicy: 'Foreground' } });
    } catch (error) {
      if (isApiError(error, CODE.notFound)) return;
      throw error;
    }
    if (Date.now() > deadline) throw new Error(`the job ${name} does not go`);
    await sleep(PAUSE_MS);
  }
}
