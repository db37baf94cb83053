import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import { UserError } from '../../crds/facts/user-error.ts';
import type { RoleCost } from '../../crds/facts/cost.ts';
import type { TensorLayout } from '../safetensors/tensor-layout.ts';
import type { Arrival, RoundId, Submission, Task } from '../transport/contract.ts';
import { checkSeal, maxSealedBytes, open, seal } from '../transport/package.ts';
import { sha256 } from '../files/sha256.ts';
import { Refused } from '../../crds/facts/refusal.ts';
import type { LocalUpdate } from './contracts.ts';
import { Diverged } from './diverged.ts';

/** Bytes of a result's header: those of the whole, including the message of a failure, and those of each step. */
const HEADER_BYTES = 16 * 1024;
const STEP_BYTES = 128;

/** Most bytes of the header of a result with this many steps. */
export const maxHeaderBytes = (steps: number): number => HEADER_BYTES + steps * STEP_BYTES;

const count = (minimum: number) => Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER });

// JSON has no NaN: it writes null. That must be told apart from a field of a wrong type.
const numberOrNull = Type.Union([Type.Number(), Type.Null()]);

/** Losses are float32: a larger one is not from our program, and sums would not be finite. */
const MAX_LOSS = 3.4028234663852886e38;

/**
 * One optimizer step of a client. The bounds keep sums over many steps finite and true: three decades, a trillion
 * tokens.
 */
const Step = Type.Object({
  loss: numberOrNull,
  tokens: Type.Integer({ minimum: 0, maximum: 1e12 }),
  ms: Type.Number({ minimum: 0, maximum: 1e12 }),
});

/**
 * What the training took. The bounds keep sums over many clients finite and true: three decades of processors, a
 * pebibyte.
 */
const Use = Type.Object({
  cpuSeconds: Type.Number({ minimum: 0, maximum: 1e9 }),
  gpuSeconds: Type.Number({ minimum: 0, maximum: 1e9 }),
  peakMemoryBytes: Type.Integer({ minimum: 0, maximum: 2 ** 50 }),
});

const Identity = { job: Type.String(), round: count(1), attempt: count(1), client: count(0) };

/** What comes with a trained adapter. */
const Report = Type.Object({
  ...Identity,
  kind: Type.Literal('update'),
  /** Digest of the round package it was trained from. */
  from: Type.String(),
  /** Digest and size of the payload. */
  sha256: Type.String(),
  bytes: count(0),
  samples: count(1),
  tokens: count(0),
  steps: Type.Array(Step, { minItems: 1 }),
  use: Use,
});

/** What comes instead of an adapter when a client could not train. */
const Failure = Type.Object({
  ...Identity,
  kind: Type.Literal('failure'),
  /** What kind of failure: whether the user can act on it, and whether it is that the training diverged. */
  fault: Type.Enum(['diverged', 'user', 'defect']),
  message: Type.String(),
  hint: Type.Union([Type.String(), Type.Null()]),
});

const Header = Type.Union([Report, Failure]);

export interface LocalStep {
  readonly loss: number;
  readonly tokens: number;
  readonly ms: number;
}

/** A result that passed every check. */
export interface Update {
  readonly client: number;
  readonly adapter: Float32Array;
  readonly samples: number;
  readonly tokens: number;
  readonly steps: readonly LocalStep[];
  readonly cost: RoleCost;
  /** Bytes of the payload that travelled, and the submission as it came. */
  readonly bytes: number;
  readonly submission: Submission;
}

/** What a result must fit: the round that is being collected. */
export interface Expectation extends RoundId {
  /** Digest of the round package. */
  readonly from: string;
  /** Clients that were given a task. */
  readonly training: readonly number[];
  /** Clients that have reported. */
  readonly reported: readonly number[];
  /** Optimizer steps that a client makes. */
  readonly steps: number;
  /** What a client's steps take: who claims more would have more than its share of the mean. */
  readonly samples: number;
  readonly layout: TensorLayout;
}

/**
 * A client's answer. The payload is the trained adapter itself rather than its difference to the start: the float32
 * bits the client trained, which a difference would round once more. It takes the same bytes.
 */
export function encodeUpdate(
  layout: TensorLayout,
  task: Task,
  update: LocalUpdate,
  steps: readonly LocalStep[],
): Submission {
  const sealed = seal(layout, update.adapter);
  const header: Static<typeof Report> = {
    ...identity(task),
    kind: 'update',
    from: task.sha256,
    sha256: sealed.sha256,
    bytes: sealed.bytes.byteLength,
    samples: update.samples,
    tokens: update.tokens,
    steps: steps.map(({ loss, tokens, ms }) => ({ loss, tokens, ms })),
    use: update.use,
  };
  return { header: JSON.stringify(header), payload: sealed.bytes, sha256: sealed.sha256 };
}

const NO_PAYLOAD = new Uint8Array();

/** Reports to the server why a client could not train. */
export function encodeFailure(task: Task, error: unknown): Submission {
  const header: Static<typeof Failure> = {
    ...identity(task),
    kind: 'failure',
    fault: error instanceof Diverged ? 'diverged' : error instanceof UserError ? 'user' : 'defect',
    message: cut(
      error instanceof UserError
        ? error.message
        : error instanceof Error
          ? (error.stack ?? error.message)
          : String(error),
    ),
    hint: error instanceof UserError && error.hint !== undefined ? cut(error.hint) : null,
  };
  return { header: JSON.stringify(header), payload: NO_PAYLOAD, sha256: sha256(NO_PAYLOAD) };
}

/** Longer messages would not fit into a header. */
const LONGEST_WORDS = 2000;
const cut = (words: string): string =>
  words.length <= LONGEST_WORDS ? words : `${words.slice(0, LONGEST_WORDS).toWellFormed()}…`;

const identity = ({ job, round, attempt, client }: Task) => ({ job, round, attempt, client });

/** A client says it cannot train; the run cannot go on as if it had not been asked. */
function clientFailure({ round, client, fault, message, hint }: Static<typeof Failure>): Error {
  const text = `round ${round}, client ${client}: ${message}`;
  if (fault === 'defect') return new Error(text);
  const options = hint === null ? {} : { hint };
  return fault === 'diverged' ? new Diverged(text, options) : new UserError(text, options);
}

/** The client an arrival names, whether or not it is one; null when it cannot be read. */
export function claimedClient({ header }: Arrival, steps: number): number | null {
  try {
    return parseHeader(header, steps).client;
  } catch {
    return null;
  }
}

/**
 * Checks an arrival in the order of cost: header, membership, size, digest, shapes, values.
 * @throws Refused when it must not be aggregated
 * @throws Error (UserError where the user can act) when it is this round's client reporting that it failed
 */
export async function verifyArrival(arrival: Arrival, expected: Expectation): Promise<Update> {
  const header = parseHeader(arrival.header, expected.steps);
  checkMembership(header, expected);
  if (header.kind === 'failure') throw clientFailure(header);
  if (header.from !== expected.from)
    throw new Refused('wrong-round', 'it was trained from another package than this round’s');
  if (header.samples > expected.samples)
    throw new Refused('malformed', `it claims ${header.samples} samples, a client trains on ${expected.samples}`);
  if (header.steps.length !== expected.steps)
    throw new Refused('malformed', `it reports ${header.steps.length} steps, a client makes ${expected.steps}`);
  const steps = finiteSteps(header.steps);
  const limit = maxSealedBytes(expected.layout);
  if (arrival.bytes > limit)
    throw new Refused('too-large', `it has ${arrival.bytes} bytes, at most ${limit} are allowed`);
  if (arrival.bytes !== header.bytes)
    throw new Refused('wrong-digest', `it has ${arrival.bytes} bytes, ${header.bytes} were announced`);
  const payload = await arrival.read();
  const what = `the result of client ${header.client}`;
  checkSeal(payload, header, what);
  const { vector } = open(payload, expected.layout, what);
  const { client, samples, tokens, use } = header;
  const { cpuSeconds, gpuSeconds, peakMemoryBytes } = use;
  // The tokens that the steps' events tell.
  const cost = { cpuSeconds, gpuSeconds, peakMemoryBytes, tokens: steps.reduce((sum, step) => sum + step.tokens, 0) };
  return {
    client,
    adapter: vector,
    samples,
    tokens,
    steps,
    cost,
    bytes: payload.byteLength,
    submission: { header: arrival.header, payload, sha256: header.sha256 },
  };
}

function parseHeader(text: string, steps: number): Static<typeof Header> {
  if (text.length > maxHeaderBytes(steps)) throw new Refused('too-large', `its header has ${text.length} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refused('malformed', 'its header is not JSON');
  }
  if (!Value.Check(Header, value))
    throw new Refused('malformed', 'its header lacks a field, or has one of a wrong type');
  return value;
}

function checkMembership({ job, round, attempt, client }: Static<typeof Header>, expected: Expectation): void {
  if (job !== expected.job)
    throw new Refused('unknown-client', `it belongs to job ${JSON.stringify(job.slice(0, 100))}`);
  const behind = round - expected.round || attempt - expected.attempt;
  if (behind < 0) throw new Refused('late', `it belongs to round ${round}, attempt ${attempt}, which has ended`);
  if (behind > 0) throw new Refused('wrong-round', `it claims round ${round}, attempt ${attempt}, which has not begun`);
  if (!expected.training.includes(client))
    throw new Refused('unknown-client', `client ${client} was given no task in this round`);
  if (expected.reported.includes(client)) throw new Refused('duplicate', `client ${client} has reported already`);
}

function finiteSteps(steps: Static<typeof Report>['steps']): LocalStep[] {
  return steps.map(({ loss, tokens, ms }, step) => {
    if (loss === null || Math.abs(loss) > MAX_LOSS)
      throw new Refused('not-finite', `the loss of step ${step} is not finite in float32`);
    return { loss, tokens, ms };
  });
}
