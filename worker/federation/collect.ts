import { TransportClosed } from '../transport/contract.ts';
import type { Arrival, Sealed } from '../transport/contract.ts';
import { Refused, settlesClient } from '../../crds/facts/refusal.ts';
import { sealRound } from './lora-package.ts';
import type { Snapshot } from './snapshot.ts';
import { samplesPerRound } from './contracts.ts';
import { claimedClient, verifyArrival } from './result.ts';
import type { Update } from './result.ts';
import { roundId } from './round-context.ts';
import type { RoundContext, RoundStep } from './round-context.ts';
import { measure, unmetered } from './spent.ts';
import { accepted, awaited, collected, collecting, forgotten, refused, retried, training, verdict } from './state.ts';
import type { Collect } from './state.ts';

type Collecting = Snapshot & { readonly state: Collect };

/**
 * At most so many refusals of an attempt are reported one by one; further ones, which no correct client causes, are
 * only counted.
 */
const TOLD_REFUSALS = 1000;

/**
 * Hands out the round's tasks and takes results until every client has answered, or the deadline has passed. Results
 * that came before an interruption are on disk, so only the other clients are asked again. The deadline then starts
 * anew.
 */
export async function* collect(snapshot: Snapshot, start: Collect, context: RoundContext): RoundStep {
  const { settings, transport, clock, meter, sharesProcesses, emit, signal } = context;
  const { quorum, roundDeadlineSeconds, maxRoundRetries } = settings.federation;
  const round = roundId(context, start);
  // It waits: whatever a GPU does is the clients'.
  const spent = await measure({ clock, meter: sharesProcesses ? unmetered : { ...meter, gpus: 0 } });

  const roundPackage = sealRound(context.layouts, snapshot.lora, round);
  await transport.publish(round, roundPackage);

  let now: Collecting = { ...snapshot, state: start };
  yield (now = await restore(now, roundPackage, context));
  const task = { ...round, sha256: roundPackage.sha256, bytes: roundPackage.bytes.byteLength };
  for (const client of awaited(now.state)) await transport.dispatch({ ...task, client });

  const told = new RefusalTeller(context);
  const deadline = clock.deadline(roundDeadlineSeconds);
  const stop = AbortSignal.any([signal, deadline.signal]);
  let deadlinePassed = false;
  try {
    while (!signal.aborted && verdict(now.state, quorum, deadlinePassed) === 'open') {
      const arrival = await transport.receive(stop);
      if (arrival !== null) yield (now = await settle(now, arrival, roundPackage, context, told));
      else if (stop.aborted) deadlinePassed = deadline.signal.aborted;
      else throw new TransportClosed();
    }
  } finally {
    deadline.cancel();
  }
  const state = collecting(now.state, await spent());
  const outcome = verdict(state, quorum, deadlinePassed);
  if (outcome === 'open') return yield { ...now, state };

  await transport.unlink(round);
  const reason = deadlinePassed ? 'deadline' : 'quorum out of reach';
  for (const client of awaited(state))
    emit({ event: 'client', round: start.round, client, outcome: 'dropped', reason });
  if (outcome === 'enough') return yield { ...now, state: collected(state) };

  const again = retried(state, quorum, maxRoundRetries);
  const count = `${state.reported.length} of ${state.selected.length} selected clients reported, the quorum is ${quorum}`;
  const which = `attempt ${again.attempt} of ${maxRoundRetries + 1}`;
  emit({ event: 'warning', message: `round ${start.round}: ${count}; trying again with other clients (${which})` });
  yield { ...now, state: again };
}

function verify(
  arrival: Arrival,
  state: Collect,
  reported: readonly number[],
  { sha256 }: Sealed,
  context: RoundContext,
): Promise<Update> {
  const { local } = context.settings.federation;
  const round = roundId(context, state);
  const expected = {
    ...round,
    from: sha256,
    training: training(state),
    reported,
    steps: local.steps,
    samples: samplesPerRound(local),
  };
  return verifyArrival(arrival, { ...expected, layout: context.layouts.adapter });
}

/** Takes up what was received before an interruption. What has become unreadable since is trained again. */
async function restore(snapshot: Collecting, roundPackage: Sealed, context: RoundContext): Promise<Collecting> {
  let { state } = snapshot;
  const known = new Set(state.reported.map(({ client }) => client));
  const stored = await context.received.of(roundId(context, state));
  for (const client of known) if (!stored.has(client)) state = forgotten(state, client);
  for (const [client, arrival] of stored) {
    try {
      const update = await verify(arrival, state, [], roundPackage, context);
      if (!known.has(client)) state = await admit(state, update, context);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const message = `round ${state.round}: the stored result of client ${client} cannot be used: ${error.message}; it trains again`;
      context.emit({ event: 'warning', message });
      await context.received.forget(roundId(context, state), client);
      state = forgotten(state, client);
    }
  }
  return { ...snapshot, state };
}

/** Judges one arrival: an update joins the round, anything else is refused and counted. */
async function settle(
  snapshot: Collecting,
  arrival: Arrival,
  roundPackage: Sealed,
  context: RoundContext,
  told: RefusalTeller,
): Promise<Collecting> {
  const { state } = snapshot;
  const round = roundId(context, state);
  let update: Update;
  try {
    update = await verify(
      arrival,
      state,
      state.reported.map(({ client }) => client),
      roundPackage,
      context,
    );
  } catch (error) {
    if (error instanceof Refused) return refuse(snapshot, arrival, error, context, told);
    await context.transport.unlink(round);
    throw error;
  }
  await context.received.keep(round, update.client, update.submission);
  return { ...snapshot, state: await admit(state, update, context) };
}

/** An update that is kept on disk joins the round. */
async function admit(state: Collect, update: Update, { emit, trace }: RoundContext): Promise<Collect> {
  const { client, adapter, steps } = update;
  const { round } = state;
  await trace?.client(round, client, adapter);
  steps.forEach((step, i) => emit({ event: 'step', phase: 'local', round, client, step: i, ...step }));
  emit({ event: 'client', round, client, outcome: 'reported' });
  return accepted(state, update);
}

function refuse(
  snapshot: Collecting,
  arrival: Arrival,
  refusal: Refused,
  { settings }: RoundContext,
  told: RefusalTeller,
): Collecting {
  const { state, refusals } = snapshot;
  const { reason } = refusal;
  const client = claimedClient(arrival, settings.federation.local.steps);
  told.tell(state.round, client, refusal);
  return {
    ...snapshot,
    refusals: { ...refusals, [reason]: (refusals[reason] ?? 0) + 1 },
    state: settlesClient(reason) && client !== null ? refused(state, client) : state,
  };
}

/**
 * Reports refusals of an attempt, and limits the reports, so that a client that sends without end cannot fill the disk
 * with them.
 */
class RefusalTeller {
  readonly #emit: RoundContext['emit'];
  #count = 0;

  constructor({ emit }: RoundContext) {
    this.#emit = emit;
  }

  tell(round: number, client: number | null, { reason, message }: Refused): void {
    if (++this.#count > TOLD_REFUSALS) return;
    this.#emit({ event: 'warning', message: `round ${round}: a result was refused (${reason}): ${message}` });
    this.#emit({ event: 'client', round, client, outcome: 'refused', reason });
    if (this.#count === TOLD_REFUSALS)
      this.#emit({
        event: 'warning',
        message: `round ${round}: ${TOLD_REFUSALS} results were refused; no more are told`,
      });
  }
}
