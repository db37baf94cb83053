import { Compile } from 'typebox/compile';
import Type from 'typebox';
import type { RunEvent, RunReport, StepEvent } from '../../crds/facts/events.ts';

const count = Type.Integer({ minimum: 0 });
const indices = Type.Array(count);
const score = Type.Object({
  accuracy: Type.Union([Type.Number(), Type.Null()]),
  f1: Type.Optional(Type.Number()),
  loss: Type.Number(),
});
const evaluation = Type.Object({ base: score, adapEmu: score, adapFu: score });

const amount = Type.Number({ minimum: 0 });
const RoleCost = Type.Object({ cpuSeconds: amount, gpuSeconds: amount, tokens: amount, peakMemoryBytes: amount });
const Saving = Type.Object({ here: amount, fullModel: amount, saved: Type.Number() });
const RunCost = Type.Object({
  server: RoleCost,
  clients: RoleCost,
  bytes: Type.Object({ bundle: amount, down: amount, up: amount }),
  savings: Type.Object({ bytes: Saving, flops: Saving }),
});

const round = Type.Object({
  round: count,
  clients: Type.Object({ selected: indices, reported: indices, dropped: indices, refused: indices }),
  alignmentLoss: Type.Union([Type.Number(), Type.Null()]),
  localLoss: Type.Number(),
  evaluation: Type.Optional(evaluation),
  bytes: Type.Object({ down: count, up: count }),
  seconds: Type.Object({
    align: Type.Number(),
    local: Type.Number(),
    aggregate: Type.Number(),
    evaluate: Type.Number(),
  }),
  cost: Type.Optional(Type.Object({ server: RoleCost, clients: RoleCost })),
});

const plan = Type.Object({
  layers: Type.Object({
    total: Type.Integer({ minimum: 0, maximum: 10_000 }),
    adapter: indices,
    emulator: indices,
    dropped: indices,
  }),
  parameters: Type.Object({ full: count, emulator: count, adapterLora: count, emulatorLora: count }),
  bytes: Type.Object({
    fullModel: count,
    emulatorBundle: count,
    roundDown: count,
    fullModelRoundDown: count,
    roundUp: count,
    hiddenStateCache: count,
  }),
  flops: Type.Object({ clientToken: amount, fullModelToken: amount, alignmentToken: amount }),
  memory: Type.Object({
    server: count,
    client: count,
    evaluation: count,
    run: count,
    available: count,
    fits: Type.Boolean(),
  }),
});

const report = Type.Object({
  job: Type.String(),
  method: Type.String(),
  seed: Type.Number(),
  rounds: Type.Array(round),
  final: Type.Union([evaluation, Type.Null()]),
  cost: Type.Union([RunCost, Type.Null()]),
  adapterSha256: Type.Union([Type.String(), Type.Null()]),
  partition: Type.Array(Type.Object({ client: count, records: count, categories: Type.Record(Type.String(), count) })),
  plan,
  date: Type.Optional(Type.String()),
});

const step = Type.Object({
  event: Type.Literal('step'),
  phase: Type.Union([Type.Literal('align'), Type.Literal('local')]),
  round: count,
  client: Type.Union([count, Type.Null()]),
  step: count,
  loss: Type.Number(),
  tokens: count,
  ms: Type.Number(),
});

const event = Type.Union([
  step,
  // The plan is told anew at each start, by the version that starts.
  Type.Object({
    event: Type.Literal('run'),
    job: Type.String(),
    method: Type.String(),
    rounds: count,
    clients: count,
    resumedFromRound: Type.Union([count, Type.Null()]),
    plan: Type.Object({}),
  }),
  Type.Object({
    event: Type.Literal('phase'),
    phase: Type.Enum(['align', 'local', 'aggregate', 'evaluate']),
    round: count,
    steps: Type.Union([count, Type.Null()]),
  }),
  Type.Object({
    event: Type.Literal('client'),
    round: count,
    client: Type.Union([count, Type.Null()]),
    outcome: Type.Enum(['reported', 'dropped', 'refused']),
    reason: Type.Optional(Type.String()),
  }),
  Type.Interface([evaluation], { event: Type.Literal('evaluation'), round: count }),
  Type.Interface([round], { event: Type.Literal('round') }),
  Type.Object({ event: Type.Literal('warning'), message: Type.String() }),
  Type.Object({
    event: Type.Literal('end'),
    outcome: Type.Enum(['succeeded', 'interrupted', 'failed']),
    message: Type.String(),
  }),
]);

const reportCheck = Compile(report);
const stepCheck = Compile(step);

/**
 * The value as the contents of a report.json, or what is wrong with it. Both come from disk, where anything may have
 * been written.
 */
export function checkReport(value: unknown): RunReport | { problem: string } {
  return reportCheck.Check(value) ? value : { problem: firstProblem(reportCheck.Errors(value)) };
}

const eventCheck = Compile(event);

/** The value of a line of metrics.jsonl; null where it is none. */
export function eventOf(value: unknown): RunEvent | null {
  return isEvent(value) ? value : null;
}

const isEvent = (value: unknown): value is RunEvent => eventCheck.Check(value);

/** The same for one step line of metrics.jsonl. */
export function checkStep(value: unknown): StepEvent | { problem: string } {
  return stepCheck.Check(value) ? value : { problem: firstProblem(stepCheck.Errors(value)) };
}

function firstProblem(errors: readonly { instancePath: string; message: string }[]): string {
  const first = errors[0];
  return first === undefined ? 'not as expected' : `${first.instancePath || 'the whole'} ${first.message}`;
}
