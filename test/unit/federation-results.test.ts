import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { Diverged } from '../../worker/federation/diverged.ts';
import { encodeFailure, encodeUpdate, maxHeaderBytes } from '../../worker/federation/result.ts';
import { verifyArrival } from '../../worker/federation/verify-result.ts';
import { openRound, sealRound } from '../../worker/federation/lora-package.ts';
import { layoutOf } from '../../worker/safetensors/tensor-layout.ts';
import type { Submission, Task } from '../../worker/transport/contract.ts';
import { maxSealedBytes, seal } from '../../worker/transport/package.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { Refused } from '../../crds/facts/refusal.ts';
import { initialLora, layouts } from '../support/quadratic-federation.ts';
import { changeHeader } from '../support/submission-header.ts';

const layout = layouts.adapter;
const { adapter } = initialLora();
const task: Task = { job: 'quadratic', round: 3, attempt: 2, client: 1, sha256: 'f'.repeat(64), bytes: 100 };
const expected = {
  job: 'quadratic',
  round: 3,
  attempt: 2,
  from: task.sha256,
  training: [0, 1, 2],
  reported: [2],
  steps: 2,
  samples: 17,
  layout,
};
const steps = [
  { loss: 1.5, tokens: 8, ms: 2 },
  { loss: 0.1, tokens: 7, ms: 1 },
];
const use = { cpuSeconds: 2.5, gpuSeconds: 0, peakMemoryBytes: 1e8 };
const update = { adapter, samples: 17, tokens: 15, losses: [1.5, 0.1], use };
const submission = encodeUpdate(layout, task, update, steps);

const arrivalOf = ({ header, payload }: Submission) => ({
  header,
  bytes: payload.byteLength,
  read: async () => payload,
});

const withHeader = (changes: Readonly<Record<string, unknown>>) => changeHeader(submission, changes);

/** The submission with another payload and a matching header. */
function withPayload(payload: Uint8Array): Submission {
  return { ...withHeader({ sha256: sha256(payload), bytes: payload.byteLength }), payload };
}

async function reasonOf(submission: Submission, changes: Partial<typeof expected> = {}): Promise<string> {
  try {
    await verifyArrival(arrivalOf(submission), { ...expected, ...changes });
    return 'accepted';
  } catch (error) {
    if (error instanceof Refused) return error.reason;
    throw error;
  }
}

t.test('a result comes back as it was trained, bit for bit', async (t) => {
  const read = await verifyArrival(arrivalOf(submission), expected);
  t.strictSame(read, {
    client: 1,
    adapter,
    samples: 17,
    tokens: 15,
    steps,
    cost: { ...use, tokens: 15 },
    bytes: submission.payload.byteLength,
    submission,
  });
});

t.test('every reason to refuse a result', async (t) => {
  const other = layoutOf([{ name: 'layers.0.q_proj.lora_A', shape: [44] }]);
  const cases: [reason: string, submission: Submission, what: string][] = [
    ['accepted', submission, 'as it should be'],
    ['accepted', withHeader({ attempt: 2, extra: 1 }), 'with a field we do not know'],
    ['unknown-client', withHeader({ job: 'another' }), 'of another job'],
    ['unknown-client', withHeader({ client: 7 }), 'of a client that was not asked'],
    ['late', withHeader({ round: 2, attempt: 9 }), 'of an earlier round'],
    ['late', withHeader({ attempt: 1 }), 'of an earlier attempt'],
    ['wrong-round', withHeader({ round: 4, attempt: 1 }), 'of a round to come'],
    ['wrong-round', withHeader({ attempt: 3 }), 'of an attempt to come'],
    ['wrong-round', withHeader({ from: '0'.repeat(64) }), 'trained from another package'],
    ['duplicate', withHeader({ client: 2 }), 'of a client that has reported'],
    ['wrong-digest', withHeader({ sha256: '0'.repeat(64) }), 'with another digest'],
    ['wrong-digest', withHeader({ bytes: 5 }), 'with another size'],
    ['wrong-digest', { ...submission, payload: submission.payload.toReversed() }, 'corrupted on its way'],
    ['wrong-digest', { ...submission, payload: new Uint8Array() }, 'without its payload'],
    ['wrong-shape', withPayload(seal(other, adapter).bytes), 'with other tensors'],
    ['not-finite', withPayload(seal(layout, adapter.with(3, NaN)).bytes), 'with a weight that is NaN'],
    ['not-finite', withHeader({ steps: [steps[0], { loss: NaN, tokens: 8, ms: 1 }] }), 'with a loss that is NaN'],
    [
      'not-finite',
      withHeader({ steps: [steps[0], { loss: 1e308, tokens: 8, ms: 1 }] }),
      'with a loss whose sum is not finite',
    ],
    [
      'accepted',
      withHeader({ steps: [steps[0], { loss: 3.4e38, tokens: 8, ms: 1 }] }),
      'with a loss that is the largest there can be',
    ],
    ['malformed', withHeader({ steps: [steps[0], { loss: 1, tokens: 8, ms: 1e300 }] }), 'with a step of endless time'],
    [
      'malformed',
      withHeader({ steps: [steps[0], { loss: 1, tokens: 2 ** 53 - 1, ms: 1 }] }),
      'with more tokens in a step than there are',
    ],
    ['malformed', withHeader({ steps: steps.slice(1) }), 'of fewer steps than were asked for'],
    ['malformed', withHeader({ steps: [...steps, ...steps] }), 'of more steps than were asked for'],
    ['malformed', withPayload(Uint8Array.of(1, 2, 3)), 'that is no safetensors file'],
    ['malformed', { ...submission, header: '' }, 'without a header'],
    ['malformed', { ...submission, header: '[]' }, 'with another header'],
    ['malformed', withHeader({ samples: undefined }), 'without a number of samples'],
    ['malformed', withHeader({ samples: 0 }), 'of no samples'],
    ['malformed', withHeader({ samples: -5 }), 'of less than no samples'],
    ['malformed', withHeader({ samples: '17' }), 'of a wrong type'],
    ['accepted', withHeader({ samples: 1 }), 'of fewer samples than there could be'],
    ['malformed', withHeader({ samples: 18 }), 'that claims more weight than is a client’s'],
    ['malformed', withHeader({ steps: [] }), 'of no steps'],
    ['malformed', withHeader({ use: undefined }), 'that does not say what it took'],
    ['malformed', withHeader({ use: { ...use, cpuSeconds: -1 } }), 'that took less than no time'],
    ['malformed', withHeader({ use: { ...use, gpuSeconds: NaN } }), 'that took a time that is no number'],
    ['malformed', withHeader({ use: { ...use, cpuSeconds: 1e12 } }), 'that took longer than can be'],
    ['malformed', withHeader({ use: { ...use, peakMemoryBytes: 2 ** 60 } }), 'that took more memory than there is'],
    ['malformed', withHeader({ use: { ...use, peakMemoryBytes: 1.5 } }), 'that took a part of a byte'],
    ['malformed', withHeader({ client: 1.5 }), 'of half a client'],
    ['too-large', withPayload(new Uint8Array(maxSealedBytes(layout) + 1)), 'of many bytes'],
    ['too-large', { ...submission, header: ' '.repeat(maxHeaderBytes(expected.steps) + 1) }, 'with an endless header'],
  ];
  for (const [reason, submission, what] of cases)
    t.equal(await reasonOf(submission), reason, `a result ${what}: ${reason}`);
});

t.test('a payload that is too large is not even read', async (t) => {
  const arrival = { header: submission.header, bytes: 2 ** 40, read: () => Promise.reject(new Error('it was read')) };
  await t.rejects(
    verifyArrival(arrival, expected),
    new Refused('too-large', `it has ${2 ** 40} bytes, at most ${maxSealedBytes(layout)} are allowed`),
  );
});

t.test('a payload of another size than its header announces is not read either', async (t) => {
  const arrival = {
    header: submission.header,
    bytes: submission.payload.byteLength - 1,
    read: () => Promise.reject(new Error('it was read')),
  };
  await t.rejects(verifyArrival(arrival, expected), {
    name: 'Refused',
    reason: 'wrong-digest',
    message: /were announced/,
  });
});

t.test('the header of a valid result is within the limit, however long its numbers are', async (t) => {
  const many = Array.from({ length: 10_000 }, () => ({
    loss: -1.2345678901234567e-105,
    tokens: 1e12,
    ms: 123456789.12345678,
  }));
  const { header } = encodeUpdate(layout, { ...task, job: 'j'.repeat(253) }, { ...update, samples: 2 ** 53 - 1 }, many);
  t.ok(header.length <= maxHeaderBytes(many.length), `${header.length} of ${maxHeaderBytes(many.length)}`);
  const failure = encodeFailure(task, new UserError('€\n'.repeat(100_000), { hint: '"'.repeat(100_000) }));
  t.ok(Buffer.byteLength(failure.header) <= maxHeaderBytes(1), `${Buffer.byteLength(failure.header)}`);
});

t.test('a failure is accepted only from a client of the round', async (t) => {
  const failure = encodeFailure(task, new UserError('the loss is not finite', { hint: 'Lower the learning rate.' }));
  await t.rejects(reasonOf(failure), {
    name: 'UserError',
    message: 'round 3, client 1: the loss is not finite',
    hint: 'Lower the learning rate.',
  });
  const diverged = encodeFailure(task, new Diverged('the loss is NaN'));
  await t.rejects(
    reasonOf(diverged),
    { name: 'Diverged', message: 'round 3, client 1: the loss is NaN' },
    'what kind of failure it was travels',
  );
  t.equal(await reasonOf(changeHeader(failure, { client: 9 })), 'unknown-client');
  t.equal(await reasonOf(changeHeader(failure, { round: 2 })), 'late');
  t.equal(await reasonOf(changeHeader(failure, { job: 'another' })), 'unknown-client');
});

t.test('a client refuses a package that is not its task’s', async (t) => {
  const round = { job: 'quadratic', round: 3, attempt: 2 };
  const { bytes } = sealRound(layouts, initialLora(), round);
  t.strictSame(openRound(layouts, bytes, task), initialLora());
  const refusal = (bytes: Uint8Array) => {
    try {
      return openRound(layouts, bytes, task);
    } catch (error) {
      return error instanceof Refused ? error.reason : error;
    }
  };
  t.equal(refusal(sealRound(layouts, initialLora(), { ...round, round: 2 }).bytes), 'wrong-round');
  t.equal(refusal(sealRound(layouts, initialLora(), { ...round, job: 'x' }).bytes), 'wrong-round');
  t.equal(refusal(seal(layout, adapter).bytes), 'wrong-shape');
});
