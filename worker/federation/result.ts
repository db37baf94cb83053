import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import { UserError } from '../../crds/facts/user-error.ts';
import type { TensorLayout } from '../safetensors/tensor-layout.ts';
import type { Submission, Task } from '../transport/contract.ts';
import { seal } from '../transport/package.ts';
import { sha256 } from '../files/sha256.ts';
import { Refused } from '../../crds/facts/refusal.ts';
import type { LocalUpdate } from './contracts.ts';
import { Diverged } from './diverged.ts';

/** Bytes of a result's header: a fixed part, which includes the message of a failure, and a part per step. */
const HEADER_BYTES = 16 * 1024;
const STEP_BYTES = 128;

/** Maximum size of the header of a result with this many steps, in bytes. */
export const maxHeaderBytes = (steps: number): number => HEADER_BYTES + steps * STEP_BYTES;

const count = (minimum: number) => Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER });

// JSON writes NaN as null. This must be distinguished from a field of a wrong type.
const numberOrNull = Type.Union([Type.Number(), Type.Null()]);

/**
 * One optimizer step of a client. The bounds keep sums over many steps finite and exact: three decades, a trillion
 * tokens.
 */
const Step = Type.Object({
  loss: numberOrNull,
  tokens: Type.Integer({ minimum: 0, maximum: 1e12 }),
  ms: Type.Number({ minimum: 0, maximum: 1e12 }),
});

/**
 * The resources used by the training. The bounds keep sums over many clients finite and exact: three decades of CPU
 * time, a pebibyte.
 */
const Use = Type.Object({
  cpuSeconds: Type.Number({ minimum: 0, maximum: 1e9 }),
  gpuSeconds: Type.Number({ minimum: 0, maximum: 1e9 }),
  peakMemoryBytes: Type.Integer({ minimum: 0, maximum: 2 ** 50 }),
});

const Identity = { job: Type.String(), round: count(1), attempt: count(1), client: count(0) };

/** The header of a result with a trained adapter. */
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

/** The header of a result without an adapter: the client could not train. */
const Failure = Type.Object({
  ...Identity,
  kind: Type.Literal('failure'),
  /** The kind of failure: the training diverged, another error that the user can fix, or a bug. */
  fault: Type.Enum(['diverged', 'user', 'defect']),
  message: Type.String(),
  hint: Type.Union([Type.String(), Type.Null()]),
});

const Header = Type.Union([Report, Failure]);
export type ResultHeader = Static<typeof Header>;
export type FailureHeader = Static<typeof Failure>;
export type ReportHeader = Static<typeof Report>;

export interface LocalStep {
  readonly loss: number;
  readonly tokens: number;
  readonly ms: number;
}

/**
 * Encodes a client's result. The payload is the trained adapter, not its difference to the start: a difference would
 * have the same size, but round the float32 values once more.
 */
export function encodeUpdate(
  layout: TensorLayout,
  task: Task,
  update: LocalUpdate,
  steps: readonly LocalStep[],
): Submission {
  const sealed = seal(layout, update.adapter);
  const header: ReportHeader = {
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

/** Encodes a report of why a client could not train. */
export function encodeFailure(task: Task, error: unknown): Submission {
  const header: FailureHeader = {
    ...identity(task),
    kind: 'failure',
    fault: error instanceof Diverged ? 'diverged' : error instanceof UserError ? 'user' : 'defect',
    message: truncated(
      error instanceof UserError
        ? error.message
        : error instanceof Error
          ? (error.stack ?? error.message)
          : String(error),
    ),
    hint: error instanceof UserError && error.hint !== undefined ? truncated(error.hint) : null,
  };
  return { header: JSON.stringify(header), payload: NO_PAYLOAD, sha256: sha256(NO_PAYLOAD) };
}

/** Longer messages are truncated, so that they fit into a header. */
const MAX_MESSAGE_CHARACTERS = 2000;
const truncated = (message: string): string =>
  message.length <= MAX_MESSAGE_CHARACTERS ? message : `${message.slice(0, MAX_MESSAGE_CHARACTERS).toWellFormed()}…`;

const identity = ({ job, round, attempt, client }: Task) => ({ job, round, attempt, client });

/**
 * Parses the header of a result of at most `steps` steps.
 * @throws Refused if it is too large or malformed
 */
export function parseHeader(text: string, steps: number): ResultHeader {
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
