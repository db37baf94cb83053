// Clients that send duplicate, foreign and corrupted results do not change the outcome of a run.
import { join } from 'node:path';
import t from 'tap';
import type { RunEvent } from '../../crds/facts/events.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import type { ClientTransport, ServerTransport, Submission } from '../../worker/transport/contract.ts';
import { settings } from '../support/quadratic-federation.ts';
import { digest, inRunDirectory, overMemory, runQuadratic } from '../support/quadratic-run.ts';
import { changeHeader } from '../support/submission-header.ts';

t.test('duplicate, foreign and corrupted results do not change the outcome of a round', async (t) => {
  const root = t.testdir();
  const job = settings({ rounds: 3, clients: 4, clientsPerRound: 3 });
  const clean = await runQuadratic(join(root, 'clean'), job);
  const events: RunEvent[] = [];
  const outcome = await inRunDirectory(join(root, 'beset'), job, { onEvent: (event) => events.push(event) }, (parts) =>
    overMemory(parts, { client: besetting }),
  );
  t.equal(digest(outcome), digest(clean));
  const { late = 0, ...rest } = outcome.refusals;
  t.strictSame(rest, { malformed: 9, 'unknown-client': 18, 'wrong-round': 9, 'wrong-digest': 3, duplicate: 6 });
  t.equal(late, 2, 'the second copy of a round’s last result arrives after the next round has begun');
  const reports = events.filter((event) => event.event === 'round');
  t.ok(
    reports.every(({ clients }) => clients.reported.length === 3 && clients.refused.length === 0),
    'a valid result after an invalid one counts',
  );
  const told = events.flatMap((event) =>
    event.event === 'client' && event.outcome === 'refused' ? [event.reason] : [],
  );
  t.equal(told.length, 9 + 18 + 9 + 3 + 6 + 2, 'also results that name no client');
});

/**
 * Sends several results that must be refused before every result, and every result twice. Before the first result of a
 * round it also sends a corrupted copy. The valid one still counts, because the round is waiting for others.
 */
function besetting(client: ClientTransport): ClientTransport {
  let begun = 0;
  return {
    ...client,
    submit: async (delivery, submission) => {
      const send = (other: Submission) => client.submit(delivery, other);
      await send({ header: '{', payload: new Uint8Array(3), sha256: sha256(new Uint8Array(3)) });
      await send(changeHeader(submission, { job: 'another' }));
      await send(changeHeader(submission, { client: 77 }));
      await send(changeHeader(submission, { round: delivery.task.round + 1 }));
      if (delivery.task.round > begun)
        await send({ ...submission, payload: submission.payload.map((byte) => byte ^ 1) });
      begun = delivery.task.round;
      await send(submission);
      await send(submission);
    },
  };
}

t.test('a round does not wait for a client whose only result was refused', async (t) => {
  const root = join(t.testdir(), 'run');
  const job = settings({ rounds: 1, clients: 3 });
  const events: RunEvent[] = [];
  const lying = (client: ClientTransport): ClientTransport => ({
    ...client,
    submit: (delivery, submission) =>
      client.submit(delivery, delivery.task.client === 1 ? { ...submission, payload: new Uint8Array(9) } : submission),
  });
  const outcome = await inRunDirectory(root, job, { onEvent: (event) => events.push(event) }, (parts) =>
    overMemory(parts, { client: lying }),
  );
  t.equal(outcome.outcome, 'succeeded');
  const [report] = events.filter((event) => event.event === 'round');
  t.strictSame(report?.clients, { selected: [0, 1, 2], reported: [0, 2], dropped: [], refused: [1] });
  t.strictSame(outcome.refusals, { 'wrong-digest': 1 });
});

t.test('a package is published once per round, and once more by a server that resumes within the round', async (t) => {
  const root = join(t.testdir(), 'run');
  const job = settings({ rounds: 3, clients: 3 });
  const published: string[] = [];
  const counting = (server: ServerTransport): ServerTransport => ({
    publish: (round, sealed) => {
      published.push(`${round.round}-${round.attempt}`);
      return server.publish(round, sealed);
    },
    dispatch: (task) => server.dispatch(task),
    receive: (signal) => server.receive(signal),
    unlink: (round) => server.unlink(round),
    close: () => server.close(),
  });
  const part = (stop: AbortController, onEvent: (event: RunEvent) => void = () => {}) =>
    inRunDirectory(root, job, { signal: stop.signal, onEvent }, (parts) => overMemory(parts, { server: counting }));
  const stop = new AbortController();
  const first = await part(stop, (event) => {
    if (event.event === 'client' && event.round === 2) stop.abort();
  });
  t.equal(first.outcome, 'interrupted');
  const second = await part(new AbortController());
  t.strictSame(published, ['1-1', '2-1', '2-1', '3-1']);
  t.equal(digest(second), digest(await runQuadratic(join(t.testdir(), 'whole'), job)));
});

t.test('every refusal is counted, and the first thousand are events', async (t) => {
  const root = join(t.testdir(), 'run');
  const events: RunEvent[] = [];
  const flooding = (client: ClientTransport): ClientTransport => ({
    ...client,
    submit: async (delivery, submission) => {
      for (let i = 0; i < 1500; i++) await client.submit(delivery, { ...submission, header: '{' });
      await client.submit(delivery, submission);
    },
  });
  const outcome = await inRunDirectory(
    root,
    settings({ rounds: 1, clients: 1 }),
    { onEvent: (event) => events.push(event) },
    (parts) => overMemory(parts, { client: flooding }),
  );
  t.strictSame(outcome.refusals, { malformed: 1500 });
  t.equal(events.filter((event) => event.event === 'client' && event.outcome === 'refused').length, 1000);
  t.equal(
    events.filter((event) => event.event === 'warning' && /further ones are only counted/.test(event.message)).length,
    1,
  );
});
