import { TransportClosed } from '../transport/contract.ts';
import type { Arrival, Sealed } from '../transport/contract.ts';
import { Refused, settlesClient } from '../../crds/facts/refusal.ts';
import { sealRound } from './lora-package.ts';
import type { Snapshot } from './snapshot.ts';
import { samplesPerRound } from './contracts.ts';
import { claimedClient, verifyArrival } from './verify-result.ts';
import type { Update } from './verify-result.ts';
import { roundId } from './round-context.ts';
import type { RoundContext, RoundStep } from './round-context.ts';
import { measure, unmetered } from './spent.ts';
import { accepted, awaited, collected, collecting, forgotten, refused, retried, training, verdict } from './state.ts';
import type { Collect } from './state.ts';

type Collecting = Snapshot & { readonly state: Collect };

/**
 * Maximum number of refusals of an attempt that are reported individually. Correct clients never cause that many;
 * further ones are only counted.
 */
const MAX_REPORTED_REFUSALS = 1000;

/**
 * Dispatches the round's tasks and receives results until every client has answered or the deadline has passed. Results
 * received before an interruption are on disk, so only the other clients get a task again. The deadline then starts
 * again.
 */
export async function* collect(snapshot: Snapshot, start: Collect, context: RoundContext): RoundStep {
  const { settings, transport, clock, meter, sharesProcesses, emit, signal } = context;
  const { quorum, roundDeadlineSeconds, maxRoundRetries } = settings.federation;
  const round = roundId(context, start);
  // The server only waits: GPU time is counted for the clients.
  const spent = await measure({ clock, meter: sharesProcesses ? unmetered : { ...meter, gpus: 0 } });

  const roundPackage = sealRound(context.layouts, snapshot.lora, round);
  await transport.publish(round, roundPackage);

  let now: Collecting = { ...snapshot, state: start };
  yield (now = await restore(now, roundPackage, context));
  const task = { ...round, sha256: roundPackage.sha256, bytes: roundPackage.bytes.byteLength };
  for (const client of awaited(now.state)) await transport.dispatch({ ...task, client });

  const reporter = new RefusalReporter(context);
  const deadline = clock.deadline(roundDeadlineSeconds);
  const stop = AbortSignal.any([signal, deadline.signal]);
  let deadlinePassed = false;
  try {
    while (!signal.aborted && verdict(now.state, quorum, deadlinePassed) === 'open') {
      const arrival = await transport.receive(stop);
      if (arrival !== null) yield (now = await settle(now, arrival, roundPackage, context, reporter));
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

/** Restores the results received before an interruption. A result that can no longer be read is trained again. */
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

/** Verifies one arrival: an update is admitted to the round, anything else is refused and counted. */
async function settle(
  snapshot: Collecting,
  arrival: Arrival,
  roundPackage: Sealed,
  context: RoundContext,
  reporter: RefusalReporter,
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
    if (error instanceof Refused) return refuse(snapshot, arrival, error, context, reporter);
    await context.transport.unlink(round);
    throw error;
  }
  await context.received.keep(round, update.client, update.submission);
  return { ...snapshot, state: await admit(state, update, context) };
}

/** Admits an update that is stored on disk to the round. */
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
  reporter: RefusalReporter,
): Collecting {
  const { state, refusals } = snapshot;
  const { reason } = refusal;
  const client = claimedClient(arrival, settings.federation.local.steps);
  reporter.report(state.round, client, refusal);
  return {
    ...snapshot,
    refusals: { ...refusals, [reason]: (refusals[reason] ?? 0) + 1 },
    state: settlesClient(reason) && client !== null ? refused(state, client) : state,
  };
}

/**
 * Reports the refusals of an attempt, up to a limit, so that a client that sends endlessly cannot fill the disk with
 * reports.
 */
class RefusalReporter {
  readonly #emit: RoundContext['emit'];
  #count = 0;

  constructor({ emit }: RoundContext) {
    this.#emit = emit;
  }

  report(round: number, client: number | null, { reason, message }: Refused): void {
    if (++this.#count > MAX_REPORTED_REFUSALS) return;
    this.#emit({ event: 'warning', message: `round ${round}: a result was refused (${reason}): ${message}` });
    this.#emit({ event: 'client', round, client, outcome: 'refused', reason });
    if (this.#count === MAX_REPORTED_REFUSALS)
      this.#emit({
        event: 'warning',
        message: `round ${round}: ${MAX_REPORTED_REFUSALS} results were refused; further ones are only counted`,
      });
  }
}
