import { UserError } from '../../crds/facts/user-error.ts';
import type { RoleCost } from '../../crds/facts/cost.ts';
import type { TensorLayout } from '../safetensors/tensor-layout.ts';
import type { Arrival, RoundId, Submission } from '../transport/contract.ts';
import { checkSeal, maxSealedBytes, open } from '../transport/package.ts';
import { Refused } from '../../crds/facts/refusal.ts';
import { Diverged } from './diverged.ts';
import { parseHeader } from './result.ts';
import type { FailureHeader, LocalStep, ReportHeader, ResultHeader } from './result.ts';

/** A result that passed every check. */
export interface Update {
  readonly client: number;
  readonly adapter: Float32Array;
  readonly samples: number;
  readonly tokens: number;
  readonly steps: readonly LocalStep[];
  readonly cost: RoleCost;
  /** Size of the payload in bytes. */
  readonly bytes: number;
  /** The submission as received. */
  readonly submission: Submission;
}

/** What a result must match: the round that is being collected. */
export interface Expectation extends RoundId {
  /** Digest of the round package. */
  readonly from: string;
  /** Clients that were given a task. */
  readonly training: readonly number[];
  /** Clients that have reported. */
  readonly reported: readonly number[];
  /** Optimizer steps of a client. */
  readonly steps: number;
  /** Samples that a client trains on. A client that claims more would get too much weight in the mean. */
  readonly samples: number;
  readonly layout: TensorLayout;
}

/**
 * The largest float32, as losses are float32. A larger value does not come from this program, and would make sums
 * infinite.
 */
const MAX_LOSS = 3.4028234663852886e38;

/** The error of a client that could not train. It fails the run: the failure must not be ignored. */
function clientFailure({ round, client, fault, message, hint }: FailureHeader): Error {
  const text = `round ${round}, client ${client}: ${message}`;
  if (fault === 'defect') return new Error(text);
  const options = hint === null ? {} : { hint };
  return fault === 'diverged' ? new Diverged(text, options) : new UserError(text, options);
}

/** The client that an arrival claims to come from, unverified; null if the header cannot be parsed. */
export function claimedClient({ header }: Arrival, steps: number): number | null {
  try {
    return parseHeader(header, steps).client;
  } catch {
    return null;
  }
}

/**
 * Checks an arrival in the order of cost: header, membership, size, digest, shapes, values.
 * @throws Refused if it must not be aggregated
 * @throws Error if a client of this round reports that it failed; a UserError if the user can fix it
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
  // The same tokens as in the events of the steps.
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

function checkMembership({ job, round, attempt, client }: ResultHeader, expected: Expectation): void {
  if (job !== expected.job)
    throw new Refused('unknown-client', `it belongs to job ${JSON.stringify(job.slice(0, 100))}`);
  const behind = round - expected.round || attempt - expected.attempt;
  if (behind < 0) throw new Refused('late', `it belongs to round ${round}, attempt ${attempt}, which has ended`);
  if (behind > 0) throw new Refused('wrong-round', `it claims round ${round}, attempt ${attempt}, which has not begun`);
  if (!expected.training.includes(client))
    throw new Refused('unknown-client', `client ${client} was given no task in this round`);
  if (expected.reported.includes(client)) throw new Refused('duplicate', `client ${client} has reported already`);
}

function finiteSteps(steps: ReportHeader['steps']): LocalStep[] {
  return steps.map(({ loss, tokens, ms }, step) => {
    if (loss === null || Math.abs(loss) > MAX_LOSS)
      throw new Refused('not-finite', `the loss of step ${step} is not finite in float32`);
    return { loss, tokens, ms };
  });
}
