import Type from 'typebox';
import type { Static } from 'typebox';
import { addCosts, NO_COST } from '../cost/run-cost.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { RoundBytes, RoundCost } from '../../crds/facts/cost.ts';
import type { Evaluation } from '../../crds/facts/evaluation.ts';
import type { Phase } from '../../crds/facts/events.ts';
import { AlignmentFigures, alignmentFigures } from '../../crds/facts/round-figures.ts';
import { PhaseSeconds, RoundReport } from '../../crds/facts/round.ts';
import type { Update } from './verify-result.ts';
import type { Draw } from './sampling.ts';
import type { Spent } from './spent.ts';

/*
 * The states of a run:
 *
 *   Align ─► Publish ─► Collect ─► Aggregate ─► Evaluate ─► Checkpoint ─► Align of the next round, or Finished
 *               ▲          │
 *               └──────────┘  quorum not reached: the round is retried with other clients
 *
 * A state is plain data, which a checkpoint holds as JSON. Tensors (the LoRA vectors and the received results) are
 * stored separately. The functions below are the transitions. Each is pure and returns a new state.
 */

/** Too few clients reported, in every attempt of the round. */
export class QuorumNotReached extends UserError {
  override readonly name = 'QuorumNotReached';
}

const Count = Type.Integer({ minimum: 0 });
const Clients = Type.Array(Count);

/** The cost of a round so far, over all attempts and resumptions. */
const Cost = Type.Object({
  bytes: RoundBytes,
  seconds: PhaseSeconds,
  /** Absent in a round that was started by a version that did not measure it. */
  roles: Type.Optional(RoundCost),
});

/** A result that was accepted. */
const Accepted = Type.Object({ client: Count, samples: Count, meanLoss: Type.Number() });

const Align = Type.Object({ at: Type.Literal('Align'), round: Count, cost: Cost });

const Publish = Type.Object({
  at: Type.Literal('Publish'),
  round: Count,
  /** From 1. */
  attempt: Count,
  ...AlignmentFigures.properties,
  cost: Cost,
});

const Collect = Type.Object({
  ...Publish.properties,
  at: Type.Literal('Collect'),
  selected: Clients,
  dropped: Clients,
  /** In order of arrival. */
  reported: Type.Array(Accepted),
  /** Clients with a task whose result was refused, and that have not sent a valid one since. */
  refused: Clients,
});

const Aggregate = Type.Object({ ...Collect.properties, at: Type.Literal('Aggregate') });
const Evaluate = Type.Object({ at: Type.Literal('Evaluate'), round: Count, report: RoundReport });
const Checkpoint = Type.Object({ at: Type.Literal('Checkpoint'), round: Count, report: RoundReport });
const Finished = Type.Object({ at: Type.Literal('Finished'), round: Count });

export const RoundState = Type.Union([Align, Publish, Collect, Aggregate, Evaluate, Checkpoint, Finished]);
export type RoundState = Static<typeof RoundState>;
export type Align = Static<typeof Align>;
export type Publish = Static<typeof Publish>;
export type Collect = Static<typeof Collect>;
export type Aggregate = Static<typeof Aggregate>;
export type Evaluate = Static<typeof Evaluate>;
export type Checkpoint = Static<typeof Checkpoint>;
export type Finished = Static<typeof Finished>;
type Cost = Static<typeof Cost>;

const FREE: Cost = {
  bytes: { down: 0, up: 0 },
  seconds: { align: 0, local: 0, aggregate: 0, evaluate: 0 },
  roles: { server: NO_COST, clients: NO_COST },
};

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const ascending = (clients: readonly number[]) => [...clients].sort((a, b) => a - b);

function spend<T extends { cost: Cost }>(state: T, phase: Phase, { seconds, cost }: Spent): T {
  const { bytes, seconds: spent, roles } = state.cost;
  const measured = roles && { roles: { ...roles, server: addCosts(roles.server, cost) } };
  return { ...state, cost: { bytes, seconds: { ...spent, [phase]: spent[phase] + seconds }, ...measured } };
}

export function begin(round: number): Align {
  return { at: 'Align', round, cost: FREE };
}

/** The alignment continues later. Adds the cost of a slice. */
export function aligning(state: Align, spent: Spent): Align {
  return spend(state, 'align', spent);
}

/** @param losses the loss of every alignment step of the round; empty if it had none */
export function aligned(state: Align, losses: readonly number[], spent: Spent): Publish {
  const { round, cost } = aligning(state, spent);
  return { at: 'Publish', round, attempt: 1, ...figuresOf(losses), cost };
}

function figuresOf(losses: readonly number[]): AlignmentFigures {
  if (losses.length === 0) return { alignmentLoss: null, publicAlignmentGap: null };
  // The loss of a single step is noisy, as each step has a different batch.
  const last = losses.slice(-Math.ceil(losses.length / 10));
  return { alignmentLoss: mean(losses), publicAlignmentGap: mean(last) };
}

/** @param packageBytes bytes that each client with a task downloads */
export function published(state: Publish, { selected, dropped }: Draw, packageBytes: number): Collect {
  const { bytes } = state.cost;
  const down = bytes.down + packageBytes * (selected.length - dropped.length);
  const cost = { ...state.cost, bytes: { ...bytes, down } };
  return { ...state, at: 'Collect', selected: [...selected], dropped: [...dropped], reported: [], refused: [], cost };
}

/** The clients that were given a task. */
export function training({ selected, dropped }: Collect): number[] {
  return selected.filter((client) => !dropped.includes(client));
}

/** The clients that may still report. */
export function awaited(state: Collect): number[] {
  const settled = new Set([...state.reported.map(({ client }) => client), ...state.refused]);
  return training(state).filter((client) => !settled.has(client));
}

export function accepted(state: Collect, { client, samples, steps, bytes, cost: used }: Update): Collect {
  const { cost, reported, refused } = state;
  const { roles } = cost;
  const measured = roles && { roles: { ...roles, clients: addCosts(roles.clients, used) } };
  return {
    ...state,
    reported: [...reported, { client, samples, meanLoss: mean(steps.map(({ loss }) => loss)) }],
    refused: refused.filter((other) => other !== client),
    cost: { ...cost, bytes: { ...cost.bytes, up: cost.bytes.up + bytes }, ...measured },
  };
}

/** A result of this round's `client` was refused. It counts as refused until it sends a valid one. */
export function refused(state: Collect, client: number): Collect {
  return awaited(state).includes(client) ? { ...state, refused: ascending([...state.refused, client]) } : state;
}

/** The result of `client` was lost: it must report again. */
export function forgotten(state: Collect, client: number): Collect {
  return { ...state, reported: state.reported.filter((update) => update.client !== client) };
}

export function collecting(state: Collect, spent: Spent): Collect {
  return spend(state, 'local', spent);
}

/**
 * Whether to keep waiting: `open` while a client may still report, the deadline has not passed and the quorum is within
 * reach. Otherwise `enough` or `short`, depending on whether the quorum was reached.
 */
export function verdict(state: Collect, quorum: number, deadlinePassed: boolean): 'open' | 'enough' | 'short' {
  const waiting = awaited(state).length;
  const reported = state.reported.length;
  if (reported + waiting < quorum) return 'short';
  if (waiting > 0 && !deadlinePassed) return 'open';
  return reported >= quorum ? 'enough' : 'short';
}

/** Clients that have not reported by now have dropped out of the round. */
export function collected(state: Collect): Aggregate {
  return { ...state, at: 'Aggregate', dropped: ascending([...state.dropped, ...awaited(state)]) };
}

/**
 * Retries the round with other clients.
 * @throws QuorumNotReached if no retries are left
 */
export function retried(state: Collect, quorum: number, maxRoundRetries: number): Publish {
  const { round, attempt, cost, reported, selected } = state;
  if (attempt > maxRoundRetries) {
    const times = attempt === 1 ? '' : ` in the last of ${attempt} attempts`;
    throw new QuorumNotReached(
      `round ${round} failed: ${reported.length} of ${selected.length} selected clients reported${times}, but the quorum is ${quorum}`,
      {
        hint: 'Lower federation.quorum or dropoutRate, or raise roundDeadlineSeconds, clientsPerRound or maxRoundRetries.',
      },
    );
  }
  return { at: 'Publish', round, attempt: attempt + 1, ...alignmentFigures(state), cost };
}

export function aggregated(state: Aggregate, spent: Spent): Evaluate {
  const { round, selected, dropped, refused, cost } = spend(state, 'aggregate', spent);
  // Sorted by client, so that the mean does not depend on the order of arrival.
  const reported = state.reported.toSorted((a, b) => a.client - b.client);
  const samples = reported.reduce((sum, update) => sum + update.samples, 0);
  const localLoss = reported.reduce((sum, update) => sum + update.samples * update.meanLoss, 0) / samples;
  const clients = { selected, reported: reported.map(({ client }) => client), dropped, refused };
  return {
    at: 'Evaluate',
    round,
    report: { round, clients, ...alignmentFigures(state), localLoss, ...reportedCost(cost) },
  };
}

/** @param evaluation null if none was due */
export function evaluated({ round, report }: Evaluate, evaluation: Evaluation | null, spent: Spent): Checkpoint {
  const { bytes, seconds, cost: roles } = report;
  const { cost } = spend({ cost: { bytes, seconds, ...(roles && { roles }) } }, 'evaluate', spent);
  return { at: 'Checkpoint', round, report: { ...report, ...(evaluation && { evaluation }), ...reportedCost(cost) } };
}

function reportedCost({ bytes, seconds, roles }: Cost): Pick<RoundReport, 'bytes' | 'seconds' | 'cost'> {
  return { bytes, seconds, ...(roles && { cost: roles }) };
}

export function next({ round }: Checkpoint, rounds: number): Align | Finished {
  return round < rounds ? begin(round + 1) : { at: 'Finished', round };
}
