import t from 'tap';
import Value from 'typebox/value';
import { finishedProgress, foldProgress, initialProgress } from '../../worker/report/fold-progress.ts';
import { JobProgress } from '../../crds/facts/progress.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import { sampleProgress } from '../support/sample-progress.ts';
import { evaluationAt, sampleEvents } from '../support/sample-run.ts';

const facts = { rounds: 4, clientsPerRound: 2, localSteps: 2 };
const fold = (events: readonly RunEvent[]) =>
  events.reduce((progress, event) => foldProgress(progress, event, facts), initialProgress(facts));

t.test('progress is derived from the events', async (t) => {
  const progress = fold(sampleEvents(4));
  t.match(progress, {
    round: 4,
    finishedRounds: 4,
    rounds: 4,
    clients: { selected: 2, reported: 2, dropped: 0, refused: 0 },
    alignmentLoss: 0.25,
    publicAlignmentGap: 0.125,
    localLoss: 0.5,
  });
  t.same(progress.evaluation, { round: 4, ...evaluationAt(4) });
  const written = { ...sampleProgress(), ...finishedProgress(progress, 'ab'.repeat(32)) };
  t.ok(Value.Check(JobProgress, written), 'as the schema wants it');
  t.equal(written.phase, 'Finished');
});

t.test('the metrics at every point of a run are valid, and name the current phase', async (t) => {
  const phases = new Set<string>();
  let progress = initialProgress(facts);
  for (const event of sampleEvents(3)) {
    progress = foldProgress(progress, event, facts);
    phases.add(progress.phase);
    t.ok(Value.Check(JobProgress, { ...sampleProgress(), ...progress }), event.event);
  }
  t.same([...phases], ['Preparing', 'Aligning', 'Training', 'Aggregating']);
});

t.test('a simulated dropout counts once, and a retry starts its counts anew', async (t) => {
  const attempt: RunEvent[] = [
    { event: 'client', round: 1, client: 0, outcome: 'dropped', reason: 'simulated' },
    { event: 'phase', phase: 'local', round: 1, steps: 2 },
    { event: 'client', round: 1, client: 1, outcome: 'dropped', reason: 'deadline' },
  ];
  t.same(fold(attempt).clients, { selected: 2, reported: 0, dropped: 2, refused: 0 });
  t.same(fold([...attempt, { event: 'phase', phase: 'local', round: 1, steps: 4 }]).clients, {
    selected: 2,
    reported: 0,
    dropped: 0,
    refused: 0,
  });
});

t.test('refusals are counted by reason; a late one does not affect the current round', async (t) => {
  const refused = (reason: string, client: number | null = 1): RunEvent => ({
    event: 'client',
    round: 1,
    client,
    outcome: 'refused',
    reason,
  });
  const progress = fold([
    { event: 'phase', phase: 'local', round: 1, steps: 4 },
    refused('late'),
    refused('late'),
    refused('wrong-shape'),
    refused('what'),
    refused('malformed', null),
  ]);
  t.same(progress.refusals, { late: 2, 'wrong-shape': 1, malformed: 1 }, 'that of nobody too');
  t.equal(progress.clients.refused, 1);
});

t.test('steps and warnings change nothing', async (t) => {
  const progress = initialProgress(facts);
  t.equal(foldProgress(progress, { event: 'warning', message: 'careful' }, facts), progress);
});

t.test('a score comes with F1 where the task has it', async (t) => {
  const { base, adapEmu, adapFu } = evaluationAt(2);
  const progress = fold([{ event: 'evaluation', round: 2, base: { ...base, f1: 0.5 }, adapEmu, adapFu }]);
  t.strictSame(progress.evaluation, { round: 2, base: { ...base, f1: 0.5 }, adapEmu, adapFu });
});
