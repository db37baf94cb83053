// Data from pods: progress and reports in Redis, which the operator mirrors; termination messages; manifests of
// bundles.
import t from 'tap';
import Value from 'typebox/value';
import { Status } from '../../crds/schema/status.ts';
import { NotUsable, readProgress, readReport } from '../../operator/progress/read-json.ts';
import { progressStatus } from '../../operator/status/progress-status.ts';
import { readTerminationMessage } from '../../operator/status/termination-message.ts';
import { parseManifest } from '../../worker/bundle/manifest.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { terminationText } from '../../worker/run/pod/ending.ts';
import { accumulate, emptyHistory, reportOf } from '../../worker/report/accumulate.ts';
import { sampleEvents, sampleFacts } from '../support/sample-run.ts';
import { sampleProgress } from '../support/sample-progress.ts';
import { fuzz } from './harness.ts';
import { mutatedJson } from './mutations.ts';

const told = {
  ...sampleProgress(2),
  refusals: { late: 3 },
  alignmentLoss: 1.5,
  publicAlignmentGap: 0.75,
  localLoss: 2.5,
  evaluation: {
    round: 1,
    base: { accuracy: null, loss: 3 },
    adapEmu: { accuracy: 0.5, f1: 0.25, loss: 2 },
    adapFu: { accuracy: 0.75, loss: 1 },
  },
  adapterSha256: 'a'.repeat(64),
};

const report = reportOf(sampleEvents(3).reduce(accumulate, emptyHistory), sampleFacts);

/** A Redis with the same text under every key. */
const holding = (text: string) => ({
  getrange: async (_key: unknown, from: unknown, to: unknown) =>
    Buffer.from(text)
      .subarray(Number(from), Number(to) + 1)
      .toString(),
});

async function refusing<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    throw error instanceof NotUsable ? new UserError(error.message) : error;
  });
}

t.test('progress: accepted progress is valid in a status', async (t) => {
  const attempt = async (text: string) => {
    const progress = await refusing(readProgress(holding(text), 'uid'));
    if (progress === null) return;
    const status = progressStatus(progress);
    if (!Value.Check(Status, status)) throw new Error(`no status: ${JSON.stringify(status).slice(0, 1000)}`);
  };
  await attempt(JSON.stringify(told));
  await fuzz(t, { name: 'progress', inputs: mutatedJson(told), runs: 2000, attempt });
});

t.test('reports', (t) =>
  fuzz(t, {
    name: 'reports',
    inputs: mutatedJson(report),
    runs: 500,
    attempt: (text) => refusing(readReport(holding(text), 'uid')),
  }),
);

t.test('termination messages: parsed ones are short, printable, and can be written again', async (t) => {
  const right = JSON.parse(terminationText({ reason: 'OutOfMemory', message: 'the compute process is out of memory' }));
  const attempt = (text: string) => {
    const message = readTerminationMessage(text);
    if (message === null) return;
    if (/[\u0000-\u0009\u007f-\u009f]/.test(message.message)) throw new Error('control characters');
    if (Buffer.byteLength(terminationText(message)) > 4096) throw new Error('too long');
  };
  await fuzz(t, { name: 'messages', inputs: mutatedJson(right), runs: 2000, attempt });
});

t.test('manifests of bundles', async (t) => {
  const file = (name: string) => ({ name, bytes: 100, sha256: 'b'.repeat(64) });
  const split = { front: [], teacher: [0, 1], emulator: [0], tail: [2], dropped: [1] };
  const right = { version: 1, split, files: ['config.json', 'tokenizer.json', 'model.safetensors'].map(file) };
  const attempt = (text: string) => {
    const { files } = parseManifest(Buffer.from(text));
    if (files.some(({ name }) => /[\\/]|\.\./.test(name))) throw new Error('a file outside the bundle');
  };
  await fuzz(t, { name: 'manifests', inputs: mutatedJson(right), runs: 1000, attempt });
});
