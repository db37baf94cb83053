// Data between clients and server: headers of results, adapters, round packages.
import fc from 'fast-check';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { encodeUpdate } from '../../worker/federation/result.ts';
import { verifyArrival } from '../../worker/federation/verify-result.ts';
import { openRound, sealRound } from '../../worker/federation/lora-package.ts';
import { seal } from '../../worker/transport/package.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { Refused } from '../../crds/facts/refusal.ts';
import { initialLora, layouts } from '../support/quadratic-federation.ts';
import { fuzz } from './harness.ts';
import { mutatedBytes, mutatedJson } from './mutations.ts';

const lora = initialLora();
const round = { job: 'quadratic', round: 3, attempt: 2 };
const sealed = sealRound(layouts, lora, round);
const task = { ...round, client: 1, sha256: sealed.sha256, bytes: sealed.bytes.byteLength };
const use = { cpuSeconds: 2.5, gpuSeconds: 0, peakMemoryBytes: 1e8 };
const steps = [
  { loss: 1.5, tokens: 8, ms: 2 },
  { loss: 0.1, tokens: 7, ms: 1 },
];
const right = encodeUpdate(
  layouts.adapter,
  task,
  { adapter: lora.adapter, samples: 17, tokens: 15, losses: [1.5, 0.1], use },
  steps,
);
const expected = {
  ...round,
  from: task.sha256,
  training: [0, 1, 2],
  reported: [2],
  samples: 17,
  steps: steps.length,
  layout: layouts.adapter,
};

/** The harness expects a UserError, so refusals are converted. */
async function refusing<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof Refused ? new UserError(error.message) : error;
  }
}

async function verified(header: string, payload: Uint8Array): Promise<void> {
  const update = await refusing(() =>
    verifyArrival({ header, bytes: payload.byteLength, read: async () => payload }, expected),
  );
  if (!update.adapter.every(Number.isFinite)) throw new Error('an adapter that is not finite was accepted');
  if (update.samples > expected.samples || update.client === 2 || !expected.training.includes(update.client))
    throw new Error('it counts as more than it is, or twice');
  for (const figure of [update.tokens, ...update.steps.flatMap(({ loss, tokens, ms }) => [loss, tokens, ms])]) {
    if (!Number.isFinite(figure)) throw new Error(`a figure of ${figure} was accepted`);
  }
}

t.test('headers of results', (t) =>
  fuzz(t, {
    name: 'headers',
    inputs: mutatedJson(JSON.parse(right.header)),
    runs: 2000,
    attempt: (header) => verified(header, right.payload),
  }),
);

t.test('adapters with matching headers', (t) => {
  const attempt = (payload: Uint8Array) => {
    const named = { ...JSON.parse(right.header), sha256: sha256(payload), bytes: payload.byteLength };
    return verified(JSON.stringify(named), payload);
  };
  return fuzz(t, { name: 'adapters', inputs: mutatedBytes(right.payload), runs: 1500, attempt });
});

t.test('adapters of any numbers', (t) => {
  const vectors = fc.float32Array({ minLength: layouts.adapter.size, maxLength: layouts.adapter.size });
  const attempt = (vector: Float32Array) => {
    const { bytes, sha256: digest } = seal(layouts.adapter, vector);
    return verified(JSON.stringify({ ...JSON.parse(right.header), sha256: digest, bytes: bytes.byteLength }), bytes);
  };
  return fuzz(t, { name: 'vectors', inputs: vectors, runs: 500, attempt });
});

t.test('round packages', (t) => {
  const attempt = (bytes: Uint8Array) =>
    refusing(() => {
      const opened = openRound(layouts, bytes, { ...task, sha256: sha256(bytes), bytes: bytes.byteLength });
      if (![...opened.adapter, ...opened.emulator].every(Number.isFinite))
        throw new Error('a vector that is not finite was accepted');
    });
  return fuzz(t, { name: 'packages', inputs: mutatedBytes(sealed.bytes), runs: 1500, attempt });
});
